#!/bin/sh
export CUDA_VISIBLE_DEVICES=0,1,2,3,4,5,6,7
exec python -m sglang.launch_server --trust-remote-code --model-path /path/to/DeepSeek-V4-Pro --tp 8 --moe-runner-backend flashinfer_mxfp4 --speculative-algorithm EAGLE --speculative-num-steps 3 --speculative-eagle-topk 1 --speculative-num-draft-tokens 4 --mem-fraction-static 0.88 --host 0.0.0.0 --port 30000
