"""What the guide says of the files that it starts from."""

FLAGSHIP = ("wide_resnet101_2", "IMAGENET1K_V1")
"""The architecture, and torchvision's entry of the weights, that the guide deploys."""
FLAGSHIP_MD5 = "5961435974bb43104b5a3180fea7c2c4"
"""Of `wide_resnet101_2-32ee1156.pth`, in the guide's step 3.1."""
