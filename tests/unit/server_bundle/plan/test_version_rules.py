"""Version rules: data that holds together, and versions that compare as pip compares them."""

from __future__ import annotations

import pytest

from server_bundle import package_data
from server_bundle.plan import version_rules

TABLES = package_data.read(package_data.PLAN / "version_rules.toml")
IN_ORDER = [
    *("0.5.3", "0.6.2", "0.6.2.post1", "0.6.2.post3", "0.6.3", "0.6.3.post1", "0.6.4"),
    *("0.7.0rc1", "0.7.0", "0.7.0.post4", "0.7.2", "0.10.0", "2.9.1+cu128"),
]


def test_versions_compare() -> None:
    """Post releases after, release candidates before their release."""
    assert sorted(reversed(IN_ORDER), key=version_rules.order) == IN_ORDER


def test_builds_are_no_versions() -> None:
    """torch 2.9.1+cu128 is torch 2.9.1."""
    assert version_rules.satisfies("2.9.1+cu128", ">=2.9.1,<2.10")
    assert not version_rules.satisfies("2.10.0", ">=2.9.1,<2.10")


@pytest.mark.parametrize("spec", ["~=1.0", "1.0", ""])
def test_what_is_no_comparison_is_refused(spec: str) -> None:
    """A slip in the data is not passed over."""
    with pytest.raises(ValueError, match="comparison"):
        version_rules.satisfies("1.0", spec)


def test_all_data_can_be_used() -> None:
    """Every entry has what its kind needs, and names ranges that hold something."""
    for one in TABLES["package"]:
        assert one["severity"] in ("fail", "warn")
        version_rules.satisfies("1.0", one["spec"])
    for one in TABLES["rule"]:
        assert one["action"] in ("drop", "floor", "warn", "note"), one["id"]
        assert ("flag" in one) == (one["action"] != "note"), one["id"]
        assert ("value" in one) == (one["action"] == "floor"), one["id"]
    for one in (*TABLES["package"], *TABLES["rule"]):
        assert one["reason"]
        assert one["source"]
        assert one["engine"] in ("sglang-kt", "sglang", "*")
        if "since" in one and "before" in one:
            assert version_rules.order(one["since"]) < version_rules.order(one["before"])
    names = [one["id"] for one in TABLES["rule"]]
    assert len(names) == len(set(names))


def ids(version: str | None, engine: str = "sglang-kt") -> set[str]:
    return {one.id for one in version_rules.rules(engine, version, "deepseek-v4")}


def test_rules_end_where_they_were_mended() -> None:
    """0.6.2.post3, 0.6.3, 0.7.0 and 0.7.2 each behave otherwise."""
    assert {"max-running-requests", "max-total-tokens"} <= ids("0.6.2.post3")
    assert "max-running-requests" not in ids("0.6.3")
    assert "max-total-tokens" in ids("0.7.0.post4")
    assert "max-total-tokens" not in ids("0.7.2")
    assert "mxfp4-layerwise-reservation" in ids("0.7.0")
    assert "mxfp4-layerwise-reservation" not in ids("0.6.4")


def test_an_unknown_version_has_all_rules() -> None:
    """Better one too many."""
    assert ids(None) == ids("0.6.2.post3") | ids("0.7.2")


def test_rules_of_a_family_leave_others_alone() -> None:
    """Kimi's pool may be given in tokens."""
    found = {one.id for one in version_rules.rules("sglang-kt", "0.6.2.post3", "")}
    assert "max-total-tokens" not in found
    assert "max-running-requests" in found


def test_upstream_has_its_own_rules() -> None:
    """None of the fork's."""
    assert ids("0.5.17", "sglang") == {
        *("auto-truncate", "dp-attention-divides-chunks", "prefill-delayer-mixed"),
        "free-slots-delay",
    }
    assert "prefill-delayer-without-bound" in ids("0.5.16.post1", "sglang")
    assert "prefill-delayer-mixed" not in ids("0.5.16", "sglang")
    assert "cuda-graph-max-bs-ambiguous" in ids("0.5.23", "sglang")
    assert "dp-attention-divides-chunks" in ids("0.7.2")
    assert version_rules.required_packages("sglang", "0.5.17") == ()


def test_required_packages() -> None:
    """What the doctor looks for, by version and model."""
    found = {one.package: one for one in version_rules.required_packages("sglang-kt", "0.7.2")}
    assert found["flashinfer-python"].severity == "fail"
    assert not found["flashinfer-python"].allows("0.6.3")
    assert found["flashinfer-python"].allows("0.6.10")
    assert found["fastapi"].allows("0.128.0")
    assert not found["fastapi"].allows("0.165.0")
    assert not found["apache-tvm-ffi"].allows("0.1.12")
    others = version_rules.required_packages("sglang-kt", "0.7.2", family="")
    assert "flashinfer-python" not in {one.package for one in others}
    assert "kt-kernel" in {one.package for one in others}
