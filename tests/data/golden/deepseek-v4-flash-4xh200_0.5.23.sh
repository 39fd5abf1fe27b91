#!/bin/sh
export CUDA_VISIBLE_DEVICES=0,1,2,3
exec python -m sglang.launch_server --trust-remote-code --model-path /path/to/DeepSeek-V4-Flash --tp 4 --moe-runner-backend marlin --speculative-algorithm EAGLE --speculative-num-steps 3 --speculative-eagle-topk 1 --speculative-num-draft-tokens 4 --host 127.0.0.1 --port 30000 --watchdog-timeout 1200 --enable-metrics --served-model-name DeepSeek-V4-Flash
