#!/bin/sh
exec python -m sglang.launch_server --host 127.0.0.1 --port 30000 --model-path /path/to/Model --tensor-parallel-size 1 --watchdog-timeout 1200 --enable-metrics --served-model-name Model
