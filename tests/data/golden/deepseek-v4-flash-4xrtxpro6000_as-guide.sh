#!/bin/sh
export CUDA_VISIBLE_DEVICES=0,1,2,3
export SGLANG_OPT_DSV4_NONPAGED_INDEXER_MIN_QUERY_TOKENS=1024
export SGLANG_FP8_PAGED_MQA_LOGITS_TORCH=0
export SGLANG_OPT_USE_TILELANG_INDEXER=0
export SGLANG_OPT_DEEPGEMM_HC_PRENORM=1
exec python -m sglang.launch_server --host 0.0.0.0 --port 30000 --model-path /path/to/deepseek-v4-flash --served-model-name deepseek-v4-flash --tp-size 4 --dp-size 4 --enable-dp-attention --enable-dp-lm-head --ep-size 4 --trust-remote-code --mem-fraction-static 0.85 --context-length 1048576 --swa-full-tokens-ratio 0.1 --max-running-requests 256 --cuda-graph-max-bs-decode 64 --kv-cache-dtype fp8_e4m3 --moe-runner-backend flashinfer_mxfp4 --disable-custom-all-reduce --chunked-prefill-size 4096 --reasoning-parser deepseek-v4 --tool-call-parser deepseekv4 --enable-cache-report --enable-prefill-delayer --prefill-delayer-max-delay-passes 8 --prefill-delayer-token-usage-low-watermark 0.5
