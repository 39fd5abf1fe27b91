#!/bin/sh
export CUDA_VISIBLE_DEVICES=0,1,2,3,4,5,6,7
exec python -m sglang.launch_server --trust-remote-code --model-path /path/to/DeepSeek-V4.1-Flash --tp 8 --ep-size 8 --mem-fraction-static 0.8 --attention-backend dsv4 --moe-runner-backend flashinfer_mxfp4 --enable-decoder-swa-bounded-replay --cuda-graph-max-bs-decode 64 --reasoning-parser auto --tool-call-parser auto --host 127.0.0.1 --port 30000 --watchdog-timeout 1200 --enable-metrics --served-model-name DeepSeek-V4.1-Flash
