"""Plans: what options, machines and versions make of a profile, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_bundle.errors import PlanRefused
from server_bundle.plan import build, kv_pool, profile
from server_bundle.plan.flags import Planned
from server_bundle.plan.machine import MachineFacts
from server_bundle.plan.overrides import Overrides

MAIN = "deepseek-v4-flash-4x5090"
MACHINE = MachineFacts(physical_cores=48, numa_nodes=4, gpus=4)
OLD, NEW = "0.6.2.post3", "0.7.2"


def planned(name: str = MAIN, machine: MachineFacts = MACHINE, **more: object) -> Planned:
    wish = Overrides(model="/weights/DSV4", version=OLD)
    return build.with_differences(profile.load(name), replace(wish, **more), machine)  # type: ignore[arg-type]


def value(found: Planned, flag: str) -> str:
    argv = found.plan.argv
    return argv[argv.index(flag) + 1]


def changed(found: Planned) -> dict[str, tuple[str | None, str | None]]:
    return {one.what: (one.guide, one.ours) for one in found.differences}


def test_every_difference_is_recorded() -> None:
    """What the sources teach, and no more."""
    assert changed(planned()) == {
        "command prefix": ("numactl --interleave=all", None),
        "--host": ("0.0.0.0", "127.0.0.1"),
        "--kt-cpuinfer": ("60", "48"),
        "--kt-threadpool-count": ("2", "4"),
        "--context-length": ("1048576", "960512"),
        "--enable-metrics": (None, "set"),
        "--served-model-name": (None, "DeepSeek-V4-Flash"),
    }
    assert planned(as_guide=True).differences == ()


@pytest.mark.parametrize("name", [n for n in profile.names() if n != profile.EMBEDDED])
def test_the_record_of_differences_is_complete(name: str) -> None:
    """Undone in turn, they lead from our flags to the guide's."""
    version = NEW if profile.load(name).engine == "sglang-kt" else "0.5.23"
    ours = planned(name, version=version)
    guide = planned(name, version=version, as_guide=True)

    def flags(found: Planned) -> dict[str, str]:
        table: dict[str, str] = {}
        for word in found.plan.argv[3:]:
            if word.startswith("--"):
                table[word] = "set"
            else:
                table[list(table)[-1]] = word
        return table

    undone = flags(ours)
    for what, (was, _) in changed(ours).items():
        if what.startswith("--"):
            undone.pop(what, None)
            if was is not None:
                undone[what] = was
    assert undone == flags(guide)


def test_the_guides_numbers_stand_in_for_an_unknown_machine() -> None:
    """A plan can be made on a laptop."""
    found = planned(machine=MachineFacts(None, None, None))
    assert (value(found, "--kt-cpuinfer"), value(found, "--kt-threadpool-count")) == ("60", "2")


def test_what_the_launcher_is_told() -> None:
    """The fields beside the command."""
    plan = planned().plan
    assert (plan.host, plan.port, plan.served_name) == ("127.0.0.1", 40001, "DeepSeek-V4-Flash")
    assert (plan.context, plan.planned_pool, plan.gpus) == (960_512, 964_864, 4)
    assert plan.warmup_tokens > 2048
    assert (plan.engine, plan.version) == ("sglang-kt", OLD)
    assert plan.prefix == ()


def test_newer_versions_have_less_room() -> None:
    """They keep memory for prefill of whole layers; so does a version that nobody knows."""
    for version in (NEW, None):
        plan = planned(version=version).plan
        assert plan.context is not None
        assert plan.planned_pool == 731_392
        assert plan.context == kv_pool.safe_context(731_392)


def test_a_longer_context_raises_the_fraction() -> None:
    """As far as that goes."""
    found = planned(context=1_048_576)
    assert value(found, "--context-length") == "1048576"
    assert float(value(found, "--mem-fraction-static")) > 0.74
    assert found.kv is not None
    assert found.kv.fits
    with pytest.raises(PlanRefused, match="does not fit on these GPUs"):
        planned(context=1_048_576, version=NEW)


@pytest.mark.parametrize("context", [1_048_576, 99_999_999])
def test_a_context_that_no_fraction_fits_names_the_longest(context: int) -> None:
    """With no fraction above 1 and no memory below 0; and the longest is indeed the longest."""
    with pytest.raises(PlanRefused, match="does not fit on these GPUs") as refused:
        planned(context=context, version=NEW)
    said = str(refused.value)
    assert said.startswith(f"a context of {context:,} tokens ") and "-1" not in said
    found = re.search(r"the longest is ([\d,]+)\.", said)
    assert found is not None
    longest = int(found[1].replace(",", ""))
    assert planned(context=longest, version=NEW).plan.context == longest
    with pytest.raises(PlanRefused):
        planned(context=longest + 1, version=NEW)


def test_a_context_and_a_fraction_must_go_together() -> None:
    """The deadlock of the guide's own pair is refused."""
    with pytest.raises(PlanRefused, match="wait forever"):
        planned(context=1_048_576, mem_fraction=0.7)
    assert planned(context=600_000, mem_fraction=0.6).plan.context == 600_000


def test_a_fraction_alone_sets_the_context() -> None:
    """The longest that its pool has room for."""
    assert planned(mem_fraction=0.6).plan.context == kv_pool.safe_context(758_784)
    assert planned(mem_fraction=0.75).plan.context == 1_048_576


@given(
    fraction=st.none() | st.floats(0.4, 0.86),
    context=st.none() | st.integers(1_024, 1_200_000),
    version=st.sampled_from([OLD, "0.6.4", NEW, None]),
)
def test_no_plan_can_deadlock(
    fraction: float | None, context: int | None, version: str | None
) -> None:
    """Whatever is wished for: a plan that fits, or a refusal."""
    try:
        plan = planned(mem_fraction=fraction, context=context, version=version).plan
    except PlanRefused:
        return
    assert plan.context is not None
    assert plan.planned_pool is not None
    assert plan.context <= kv_pool.safe_context(plan.planned_pool)
    assert plan.warmup_tokens < plan.context


def test_an_experimental_ratio_makes_room_and_says_so() -> None:
    """The million on 0.7.2, by arithmetic alone."""
    found = planned(version=NEW, context=1_048_576, extra=("--swa-full-tokens-ratio", "0.02"))
    assert value(found, "--mem-fraction-static") == "0.7"
    assert any("experimental" in note for note in found.notes)


def test_another_number_of_gpus_is_an_estimate() -> None:
    """The figures are of four; what the weights take on each is computed for others, and said."""
    found = planned(gpus=2)
    assert found.plan.environment["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert value(found, "--tensor-parallel-size") == "2"
    four, eight = planned(gpus=4), planned(gpus=8)
    assert not any("is an estimate" in note for note in four.notes)
    sizes = [one.plan.planned_pool or 0 for one in (found, four, eight)]
    assert sizes == sorted(sizes) and 0 < sizes[0] < 750_000
    note = next(note for note in found.notes if "is an estimate" in note)
    assert "about 8.1 GiB of weights on each" in note and "max_total_num_tokens" in note
    newer = planned(gpus=2, version="0.7.2")
    assert any("6.94 GiB reserved for layers of experts 1,024 wide" in one for one in newer.notes)
    none = planned(gpus=1, version="0.7.2")
    assert none.plan.planned_pool is None and any("no memory is left" in one for one in none.notes)
    with pytest.raises(PlanRefused, match="64 attention heads"):
        planned(gpus=3)


def test_the_key_comes_by_a_file() -> None:
    """And lets it listen elsewhere."""
    found = planned(key_config="/state/server-key.yaml", entry="/ours/e.py", host="0.0.0.0")
    assert found.plan.argv[:4] == ("python3", "/ours/e.py", "--config", "/state/server-key.yaml")
    assert found.plan.url == "http://127.0.0.1:40001"
    assert "-m" not in found.plan.argv


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "gpu.example.org"])
def test_no_key_no_door(host: str) -> None:
    """Only this machine may come in without one."""
    with pytest.raises(PlanRefused, match="KTJOB_API_KEY"):
        planned(host=host)
    for local in ("127.0.0.1", "::1", "localhost", "127.0.0.5"):
        assert value(planned(host=local), "--host") == local


@pytest.mark.parametrize("extra", [("--api-key", "k"), ("--api-k=k",), ("--admin-api-key", "k")])
def test_a_key_in_the_command_is_refused(extra: tuple[str, ...]) -> None:
    """Whatever argparse would take for it; the message does not repeat the key."""
    with pytest.raises(PlanRefused, match="process list") as refused:
        planned(extra=extra)
    assert "=k" not in str(refused.value)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (("--host", "0.0.0.0"), "--host"),
        (("--hos=0.0.0.0",), "--host"),
        (("--port", "1"), "--port"),
        (("--model-path", "/m"), "--model"),
        (("--context-length", "9"), "--context"),
        (("--mem-fraction-static", ".9"), "--mem-fraction"),
        (("--tp-size", "9"), "--tensor-parallel-size"),
        (("word",), "not a flag"),
    ],
)
def test_what_the_plan_must_see_is_not_smuggled(extra: tuple[str, ...], words: str) -> None:
    """Neither by another name of a flag nor by its beginning."""
    with pytest.raises(PlanRefused, match=words):
        planned(extra=extra)


def test_other_flags_go_to_the_server() -> None:
    """New ones at the end, known ones in their place; each recorded."""
    found = planned(
        extra=("--watchdog-timeout=3000", "--log-requests", "--cuda-graph-bs", "1", "2")
    )
    argv = " ".join(found.plan.argv)
    assert "--watchdog-timeout 3000 --disable-shared" in argv
    assert argv.endswith(" --log-requests")
    assert "--cuda-graph-bs 1 2 --cuda-graph-max-bs" in argv
    assert changed(found)["--watchdog-timeout"] == ("1200", "3000")
    assert changed(found)["--log-requests"] == (None, "set")


def test_one_request_at_a_time_needs_two_slots_on_the_old() -> None:
    """--max-running-requests 1 hangs on 0.6.2."""
    one = ("--max-running-requests", "1")
    assert value(planned(extra=one), "--max-running-requests") == "2"
    assert value(planned(extra=one, version="0.6.3"), "--max-running-requests") == "1"
    assert any("one request at a time" in note for note in planned().notes)


def test_a_pool_in_tokens_is_left_out_where_it_is_shrunk() -> None:
    """DeepSeek V4 before 0.7.2; Kimi keeps it."""
    given_pool = ("--max-total-tokens", "900000")
    assert "--max-total-tokens" not in planned(extra=given_pool).plan.argv
    assert "--max-total-tokens" in planned(extra=given_pool, version=NEW).plan.argv
    assert planned("kimi-k2.5-4gpu").plan.planned_pool == 50_000


def test_nothing_is_cut_in_silence() -> None:
    """--allow-auto-truncate is never passed on."""
    found = planned(extra=("--allow-auto-truncate",))
    assert "--allow-auto-truncate" not in found.plan.argv
    assert "--allow-auto-truncate" in changed(found)


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        (MAIN, {"engine": "sglang"}, "only sglang-kt"),
        (MAIN, {"version": "0.6.1"}, "0.6.2.post3 or later"),
        ("minimax-m3-8gpu", {}, "0.7.2 or later"),
        ("embedded", {}, "ktserver up"),
        (MAIN, {"port": 70_000}, "--port"),
        (MAIN, {"gpus": -1}, "at least 1"),
        (MAIN, {"mem_fraction": 1.5}, "between 0 and 1"),
        (MAIN, {"context": 5}, "--context"),
        (MAIN, {"as_guide": True, "context": 600_000}, "--as-guide"),
        (MAIN, {"as_guide": True, "extra": ("--log-requests",)}, "--as-guide"),
        (MAIN, {"key_config": "k.yaml", "extra": ("--config", "mine.yaml")}, "--config"),
    ],
)
def test_contradictions_are_refused(name: str, more: dict[str, object], words: str) -> None:
    """Each with what to change."""
    with pytest.raises(PlanRefused, match=words):
        planned(name, **more)


def test_any_model_on_any_number_of_gpus() -> None:
    """The generic profile, upstream or fork."""
    found = planned(
        "generic-sglang",
        version="0.5.17",
        model="org/Name",
        gpus=2,
        context=32_768,
        mem_fraction=0.8,
    )
    assert found.plan.served_name == "Name"
    assert found.plan.environment == {}
    assert value(found, "--context-length") == "32768"
    assert value(found, "--mem-fraction-static") == "0.8"
    assert planned("generic-sglang", engine="sglang-kt").plan.engine == "sglang-kt"


def test_a_plan_says_where_it_does_not_fit_the_machine() -> None:
    """It can still be made here for elsewhere."""
    found = planned(machine=MachineFacts(8, 1, 1))
    assert any("has 1 GPU, the plan" in note for note in found.notes)


def test_an_upstream_plan_says_what_is_not_known_and_what_surprises() -> None:
    """No pool is computed; attention by rank divides the chunk; a renamed flag is left out."""
    name = "deepseek-v4-flash-4xrtxpro6000"
    found = planned(name, version="0.5.23")
    told = "\n".join(found.notes)
    assert found.kv is None and "the size of the KV pool is not computed for this profile" in told
    assert "a long prompt is read 1,024 tokens at a time (4,096 / 4)" in told
    assert "--enable-prefill-delayer: with chunked prefill it may hold long prefills" in told
    assert "--enable-dp-attention: --chunked-prefill-size is divided by --dp-size" in told
    more = planned(name, version="0.5.23", extra=("--chunked-prefill-size", "16384"))
    assert "4,096 tokens at a time (16,384 / 4)" in "\n".join(more.notes)
    old = planned(name, version="0.5.23", extra=("--cuda-graph-max-bs", "64"))
    assert "--cuda-graph-max-bs" not in old.plan.argv
    assert any(one.what == "--cuda-graph-max-bs" for one in old.differences)
    plain = planned("deepseek-v4-flash-4xh200", version="0.5.23")
    assert not any("tokens at a time" in note for note in plain.notes)
