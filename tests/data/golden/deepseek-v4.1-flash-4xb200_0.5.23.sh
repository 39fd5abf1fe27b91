#!/bin/sh
export CUDA_VISIBLE_DEVICES=0,1,2,3
exec python -m sglang.launch_server --trust-remote-code --model-path /path/to/DeepSeek-V4.1-Flash --tp 4 --ep-size 4 --mem-fraction-static 0.8 --speculative-algorithm DSPARK --speculative-dspark-block-size 5 --cuda-graph-max-bs-decode 64 --reasoning-parser auto --tool-call-parser auto --host 127.0.0.1 --port 30000 --watchdog-timeout 1200 --enable-metrics --served-model-name DeepSeek-V4.1-Flash
