#!/usr/bin/env python3
"""Hands the guide's command line to assay, which knows the program by this file's name."""

import sys
from pathlib import Path

from assay.cli.main import main

sys.exit(main(["guide", Path(__file__).name, *sys.argv[1:]]))
