"""Refusals that are about length, and those that only sound like it."""

from __future__ import annotations

import pytest

from ktclient.request.refusals import too_long

TOO_LONG = [
    # by the rule, in many orders
    "The number of tokens in the prompt (9,000) exceeds the maximum of 8,192.",
    "input length exceeds the context length",
    "the input length exceeds maximum context length",
    "prompt too long; exceeded max context length by 808 tokens",
    "Prompt too long: 9000 tokens exceeds maximum of 8192",
    "Prompt length 9000 is greater than max_seq_len 8192",
    "Request length 9000 + 2048 is greater than max_seq_len 8192",
    "prompt is too long: 209000 tokens > 200000 maximum",
    "input length and `max_tokens` exceed context limit: 174000 + 64000 > 200000, decrease input "
    "length or `max_tokens` and try again",
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "The input token count exceeds the maximum number of tokens allowed 1048576.",
    "litellm.ContextWindowExceededError: litellm.BadRequestError: ExampleException - context",
    "Prompt contains 9000 tokens and 0 draft tokens, too large for model with 8192 maximum context "
    "length",
    "Prompt length (9000) exceeds maximum input length (8192). Set log level to info",
    "The prompt (9000 tokens) is larger than the context window.",
    "Input length (9000) exceeds model's maximum context length (8192).",
    "Input length 9000 exceeds the maximum length 8192",
    "Input length 9000 exceeds the maximum allowed input length of 8192 tokens.",
    "Prompt exceeds max length",
    "Input (9000 tokens) exceeds session_len 8192",
    "Requested tokens (9000) exceed context window of 8192",
    "The prompt exceeds the context window size and cannot be processed.",
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "Your request exceeded model token limit: 262144",
    "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 509000 "
    "tokens.",
    "prompt token count of 130000 exceeds the limit of 128000",
    "too many tokens: the total number of tokens in the prompt exceeds the limit of 4081.",
    "Number of prompt tokens: 9000 exceeds model max length: 8192",
    "Sequence length 9000 exceeds max_seq_len",
    "The total length of all messages is too long.",
    "Input is too long for requested model.",
    "Request exceeds the maximum context length (8192)",
    "messages exceed n_ctx",
    "model_context_window_exceeded",
    "prompt_too_long",
    "Token limit: the conversation is longer than the 8192 tokens allowed",
    "输入长度超过模型最大长度 8192",
    "Prompt 超长",
    "tokens 总数超出上下文限制",
    "Tools and messages exceed the context length of 8192",
]

OTHER = [
    "",
    "the request is malformed",
    # rates and prices
    "Request too large for m on tokens per min (TPM): Limit 30000, Requested 35000. The input or "
    "output tokens must be reduced in order to run successfully.",
    "Rate limit reached for m on tokens per minute (TPM): Limit 6000, Used 5000, Requested 1200",
    "Throttling error: Too many tokens, please wait before trying again.",
    "Too many requests: input tokens exceed the maximum",
    "You exceeded your current quota of tokens, please check your plan",
    "Tokens exceed your daily limit",
    "concurrency: input requests exceed the maximum",
    # sizes
    "Request body too large",
    "Request Entity Too Large",
    "Payload Too Large: 70000000 bytes exceed the maximum",
    "Failed to buffer the request body: length limit exceeded",
    "Maximum request body size 1048576 exceeded, actual body size 9000000",
    "Request exceeds the maximum size",
    "Image size 9000x9000 exceeds the maximum allowed",
    "input image is too large: 25 MB, maximum 20 MB",
    "The input file exceeds the maximum size",
    # other fields
    "Invalid 'tools[1].function.description': string too long. Expected a string with maximum "
    "length 1024, but got a string with length 1103 instead.",
    "Invalid 'messages': array too long. Expected an array with maximum length 2048",
    "stop sequences exceed the maximum of 4",
    "top_logprobs exceeds the maximum of 20",
    "temperature: Input should be less than or equal to 2",
    "Schema is too large: exceeds maximum of 100 properties",
    "n: Input should be less than or equal to 1",
    "This model does not support the maximum you asked for",
    "response_format of type json_schema is not supported with this model",
    # the answer alone
    "max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens for m",
    "max_tokens must be less than or equal to 8192",
    "Range of max_tokens should be [1, 8192]",
    "max_tokens: Input should be less than or equal to 8192",
    "max_new_tokens (9000) exceeds the maximum allowed",
]

ANSWERS = [
    "max_completion_tokens is too large: 9000.",
    "max_tokens (9000) exceeds the model's context length (8192)",
    "'max_tokens' is greater than max_model_len 8192",
]


@pytest.mark.parametrize("words", TOO_LONG)
def test_a_prompt_that_is_too_long_is_known_by_the_words(words: str) -> None:
    """Whoever says it, in whatever order."""
    assert too_long.is_of_prompt(words)
    assert too_long.is_of_prompt(f"upstream said: {words.upper()}")


@pytest.mark.parametrize("words", OTHER)
def test_other_limits_are_no_question_of_the_prompts_length(words: str) -> None:
    """A shorter document would not help."""
    assert not too_long.is_of_prompt(words)
    assert not too_long.is_of_answer(words)


@pytest.mark.parametrize("words", ANSWERS)
def test_an_answer_longer_than_the_window_is_told_from_a_prompt(words: str) -> None:
    """The cure is another one."""
    assert too_long.is_of_answer(words)
    assert not too_long.is_of_prompt(words)


@pytest.mark.parametrize("phrase", too_long.phrases(), ids=lambda phrase: phrase.says)
def test_each_phrase_of_the_table_has_an_example_and_finds_it(phrase: too_long.Phrase) -> None:
    """As the server says it, and written as the words are compared."""
    assert phrase.of and phrase.says == too_long.plain(phrase.says)
    assert phrase.says in too_long.plain(phrase.example)
    is_found = too_long.is_of_answer if phrase.answer else too_long.is_of_prompt
    assert is_found(phrase.example)
