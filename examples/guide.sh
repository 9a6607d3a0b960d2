#!/bin/sh
# The guide from top to bottom, on a machine with no NPU: its command lines, one after the other.
#
#   examples/guide.sh                                      on the demo's checkpoint and images
#   examples/guide.sh wide_resnet101_2-32ee1156.pth /opt/npu/imagenet/val /opt/npu/imagenet/val_label.txt
#
# GUIDE_FOLDER names the folder to work in (default: a new one); GUIDE_BATCHES the batch sizes (default: the guide's);
# AOE_BUDGET how long to tune (default: 10m).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
case $# in
0)
    demo=$(python3 -c 'from assay import demo; print(demo.CHECKPOINT.parent)')
    checkpoint=$demo/demo.pth images=$demo/images labels=$demo/labels.txt model_type=demo side=64
    # The demo is another model on other images, so what was published of the guide's says nothing of it.
    model=demo_wide_resnet dataset='the demo'
    ;;
3)
    checkpoint=$(realpath "$1") images=$(realpath "$2") labels=$(realpath "$3") model_type=resnet side=224
    model=wide_resnet101_2 dataset='ImageNet validation'
    ;;
*)
    echo "usage: $0 [CHECKPOINT.pth IMAGES LABELS]" >&2
    exit 2
    ;;
esac
folder=${GUIDE_FOLDER:-$(mktemp -d)}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cp "$here"/guide/* "$folder"
cd "$folder"
PATH=$folder:$PATH
export PATH
set -x

: 3.1 from the checkpoint to ONNX
python3.7 wrn101_2_pth2onnx.py "$checkpoint" wrn101_2_pth.onnx

: 3.2 from ONNX to the offline model
assay guide source /usr/local/Ascend/ascend-toolkit/set_env.sh
for batch in ${GUIDE_BATCHES:-1 4 8 16 32 64}; do
    atc --framework=5 --model=wrn101_2_pth.onnx --output=wrn101_2_bs$batch --input_format=NCHW --input_shape="image:$batch,3,$side,$side" --log=debug --soc_version=Ascend310
done

: 4.2 the images, and 4.3 their list
python3.7 imagenet_torch_preprocess.py $model_type "$images" ./prep_dataset
python3.7 gen_dataset_info.py bin ./prep_dataset ./wrn101_2_prep_bin.info $side $side

: 5.2 and 7.1 offline inference over the whole data set, and 6.1 its accuracy, at each batch size
npu-smi info
for batch in ${GUIDE_BATCHES:-1 4 8 16 32 64}; do
    ./benchmark.x86_64 -model_type=vision -device_id=0 -batch_size=$batch -om_path=wrn101_2_bs$batch.om -input_text_path=./wrn101_2_prep_bin.info -input_width=$side -input_height=$side -output_binary=False -useDvpp=False
    python3.7 imagenet_acc_eval.py result/dumpOutput_device0/ "$labels" ./ result_bs$batch.json
done

: 5.1 pure inference, for a quick look
./benchmark.x86_64 -round=20 -om_path=wrn101_2_bs${batch}.om -device_id=0 -batch_size=$batch

: 7.2 tuning
aoe --framewor=5 --model=wrn101_2_pth.onnx --job_type=2 --output=wrn101_2_bs1_aoe --input_shape "image:1,3,$side,$side" --log=error
./benchmark.x86_64 -round=20 -om_path=wrn101_2_bs1_aoe.om -device_id=0 -batch_size=1

: 7.3 the card that is replaced: where there is none, it says what would serve
trtexec --onnx=wrn101_2_pth.onnx --fp16 --shapes=image:64x3x${side}x${side} --threads || true

: 6.3 and 7.4 the comparisons, which the guide makes by hand: its own figures, then those of this machine
assay compare guide:offline --against guide:published
assay compare guide:310P-tuned --against guide:310 --against guide:T4 --gate 'throughput/guide:310>=1.2' --gate 'throughput/guide:T4>=1.6'
assay import result/perf_vision_batchsize_*_device_0.txt --set dies=1 --set input_side=$side --set model=$model --set name=here -o here.json
assay compare here.json --against guide:T4
for batch in ${GUIDE_BATCHES:-1 4 8 16 32 64}; do
    assay import result_bs$batch.json --set batch=$batch --set model=$model --set dataset="$dataset" --set name=bs$batch -o accuracy_bs$batch.json
    if [ $model = wide_resnet101_2 ]; then
        assay compare accuracy_bs$batch.json --against guide:published --max-drop 1.0
    fi
done
