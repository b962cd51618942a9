"""What may stay as checkov finds it."""

import tomllib

from decant_cloud.checks.policy import EXEMPTIONS, Exemption, Finding, unsettled
from tests.loading import ROOT

FINDING = Finding("CKV_1", "template.AWS::Lambda::Function.UsersGet", "should be otherwise")


def test_policy_settles_a_finding_with_a_reason() -> None:
    """A pattern may speak of several resources."""
    exemption = Exemption("CKV_1", "template.AWS::Lambda::Function.*", "because")

    assert list(unsettled([FINDING], [exemption])) == []


def test_policy_names_a_finding_without_a_reason() -> None:
    """Another resource, or another check, is not covered."""
    others = [Exemption("CKV_1", "Cluster.*", "because"), Exemption("CKV_2", "*", "because")]

    assert "template.AWS::Lambda::Function.UsersGet: CKV_1 should be otherwise" in list(unsettled([FINDING], others))


def test_policy_names_a_reason_without_a_finding() -> None:
    """What was mended needs no excuse any more."""
    stale = Exemption("CKV_9", "*", "because")

    assert list(unsettled([], [stale])) == ["policy.toml: nothing fails CKV_9 at * any more"]


def test_policy_has_a_reason_for_each_exemption() -> None:
    """An exemption has a reason, in a sentence."""
    exemptions = [Exemption(**each) for each in tomllib.loads((ROOT / EXEMPTIONS).read_text())["exemption"]]

    assert all(each.reason.strip().endswith(".") for each in exemptions)
