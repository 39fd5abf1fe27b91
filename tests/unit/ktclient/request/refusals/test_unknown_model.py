"""Refusals for a model that the server does not have, and those that only name it."""

from __future__ import annotations

import pytest

from ktclient.request.refusals import unknown_model

UNKNOWN = [
    ("The model `m` does not exist.", ""),
    ("The model `org/m 7b` does not exist or you do not have access to it.", "model_not_found"),
    ('model "m:7b" not found, try pulling it first', ""),
    ("model 'm' not found", ""),
    ("Model not found: m", ""),
    ("Model Not Exist", "invalid_request_error"),
    ("Model with name m does not exist", ""),
    ("Request for unknown model: 'm' is not found", ""),
    ("/chat/completions: Invalid model name passed in model=m. Call `/v1/models` to view", ""),
    ('Invalid model identifier "m". Please specify a valid downloaded model', ""),
    ("Invalid model: m", "invalid_model"),
    ("No models loaded. Please load a model in the developer page", "model_not_found"),
    ("No models are currently loaded.", ""),
    ("could not find real modelID for m", ""),
    ("models/m is not found for API version v1", ""),
    ("Model not found in the model list, uid: m", ""),
    ("Unknown Model, please check the model code.", ""),
    ("m is not a valid model ID", ""),
    ("模型不存在", ""),
    ("anything", "model_not_found"),
    ("Model m is not loaded", ""),
    ("The model m is currently not available", ""),
    ("model m doesn't exist", ""),
]

OTHER = [
    (
        "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this "
        "model.",
        "",
    ),
    (
        "Unsupported parameter: 'max_tokens' is not supported with this model.",
        "unsupported_parameter",
    ),
    ("This model does not support tools", "invalid_request_error"),
    ("The model's chat template was not found", ""),
    ("Unknown field model_kwargs", ""),
    ("Invalid model output: not JSON", ""),
    ("temperature is invalid for this model", ""),
    ("This model only supports temperature 1; unknown value", ""),
    ("invalid value: 'developer'. Supported by this model: system, user", ""),
    ("thinking is unknown to the model", "invalid_request_error"),
    ("invalid model parameters: top_k", ""),
    ("", "invalid_request_error"),
]


@pytest.mark.parametrize(("words", "codes"), UNKNOWN)
def test_a_model_that_is_not_there_is_known_by_the_words(words: str, codes: str) -> None:
    """Whoever says it."""
    assert unknown_model.is_said(words, codes)


@pytest.mark.parametrize(("words", "codes"), OTHER)
def test_a_refusal_that_names_the_model_says_not_that_it_is_unknown(words: str, codes: str) -> None:
    """Another model would not help."""
    assert not unknown_model.is_said(words, codes)
