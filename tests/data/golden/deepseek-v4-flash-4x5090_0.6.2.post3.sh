#!/bin/sh
export CUDA_VISIBLE_DEVICES=0,1,2,3
export FLASHINFER_CUDA_ARCH_LIST=12.0a
export TORCH_CUDA_ARCH_LIST=12.0+PTX
export SGLANG_DSV4_MODE=2604
export SGLANG_DSV4_2604_SUBMODE=2604B
exec python -m sglang.launch_server --host 127.0.0.1 --port 40001 --model /path/to/DeepSeek-V4-Flash --kt-weight-path /path/to/DeepSeek-V4-Flash --kt-method MXFP4 --kt-num-gpu-experts 10 --kt-cpuinfer 128 --kt-threadpool-count 2 --kt-gpu-prefill-token-threshold 2048 --kt-enable-dynamic-expert-update --tensor-parallel-size 4 --context-length 960512 --attention-backend flashinfer --mem-fraction-static 0.7 --chunked-prefill-size 4096 --max-prefill-tokens 4096 --max-running-requests 2 --watchdog-timeout 1200 --disable-shared-experts-fusion --trust-remote-code --cuda-graph-bs 1 --cuda-graph-max-bs 1 --disable-radix-cache --skip-server-warmup --enable-metrics --served-model-name DeepSeek-V4-Flash
