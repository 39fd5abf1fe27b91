curl http://localhost:40001/v1/chat/completions \
  -H "Content-Type: application/json" \
  -d '{
    "model": "DeepSeek-V4-Flash",
    "messages": [{"role": "user", "content": "你好,请介绍一下你自己"}],
    "max_tokens": 256,
    "temperature": 0.7
  }'
