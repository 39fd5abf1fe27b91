from openai import OpenAI

client = OpenAI(base_url="http://localhost:40001/v1", api_key="none")

with open("very_long_document.txt") as f:
    long_text = f.read()  # 例如 60 万 token 长文

resp = client.chat.completions.create(
    model="DeepSeek-V4-Flash",
    messages=[{"role": "user", "content": long_text + "\n\n请总结上文。"}],
    max_tokens=1024,
    temperature=0.7,
    timeout=3600,                     # ← 必须给够时间,见下
)
print(resp.choices[0].message.content)
