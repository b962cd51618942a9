"""Every row of the table in docs/celery.md has tests: cases of the oracle, or the tests that are named here."""

import json

import pytest

from tests.loading import ROOT
from tests.tables import is_a_test, rows

CASES = json.loads((ROOT / "tests/oracle/recording.json").read_text()).keys()
REFUSED = "test_celery_unsupported.py::test_feature_is_refused"
WARNED = "test_celery_unsupported.py::test_option_without_effect_warns"
WORKER = "test_celery_worker.py::test_schedule_of_the_settings_is_run"

TESTS = {
    "`Celery(main": "apps.conf_of_constructor apps.default_task_class apps.conf_from_object " + WORKER,
    "`Celery(amqp": REFUSED,
    "`@app.task`, `@shared_task`": "apps.task_names apps.task_options calls.shared_task apps.self "
    "failures.task_attributes",
    "`register_task`": "apps.register_task failures.class_based_task failures.task_class_with_call "
    "failures.hooks_of_a_success failures.hooks_of_a_failure failures.hooks_of_a_retry",
    "`self.request`": "calls.request calls.request_headers calls.request_of_direct_call",
    "`delay`": "calls.delay calls.apply_async calls.countdown calls.eta calls.expired calls.task_id calls.priority "
    "calls.request_headers calls.link failures.link_error_receives_the_id failures.time_limit_of_a_call "
    "calls.ignored_result_of_a_call test_celery_contract.py::test_settings_route_and_limit_calls",
    "`retry=`": "calls.options_without_effect test_celery_unsupported.py::test_options_of_a_broker_are_accepted",
    "types of arguments": "calls.types_of_arguments calls.result_types "
    "test_celery_mistakes.py::test_argument_that_is_not_json",
    '`serializer="pickle"`': REFUSED,
    "annotations": "calls.annotations_are_not_checked",
    "`@app.task(pydantic": REFUSED,
    "`async def` tasks": "test_celery_everywhere.py::test_task_starts_a_task",
    "`self.retry`": "failures.retry_until_success failures.retry_with_other_arguments failures.autoretry "
    "failures.autoretry_with_options failures.autoretry_except",
    "`time_limit`": "failures.hard_time_limit failures.time_limit_of_a_call",
    "`soft_time_limit`": "failures.soft_time_limit failures.soft_time_limit_unhandled",
    "`update_state`": "failures.update_state",
    "`Ignore`": "failures.ignore failures.reject failures.throws",
    "`rate_limit` of a task": "test_celery_contract.py::test_rate_limit_of_a_task " + WARNED,
    "`acks_late`": "test_sweeper.py::test_row_of_a_lost_worker_is_run_again",
    "`AsyncResult`:": "calls.result_attributes failures.failed_attributes calls.get_times_out calls.forget "
    "calls.children calls.collect calls.date_done calls.as_tuple apps.revoke_before_start workflows.chain_parents",
    "`AsyncResult.args`": "test_celery_contract.py::test_results_have_no_arguments",
    "`AsyncResult.then`": REFUSED,
    "errors in results": "failures.error_class failures.custom_error failures.error_that_cannot_be_made_again",
    "`GroupResult`": "workflows.group_save_and_restore workflows.result_set",
    "waiting for a result": "signals.join_in_a_task signals.join_in_a_task_is_allowed_in_a_block",
    "`chain`, `group`": "workflows.chain workflows.group workflows.chord workflows.chunks workflows.map "
    "workflows.starmap workflows.pipe workflows.chord_nested workflows.signature_immutable workflows.signature_freeze "
    "workflows.signature_clone workflows.signature_set",
    "error of a task in a chain": "workflows.chain_failure_in_the_middle workflows.chain_failure_before_a_group",
    "`link`, `link_error`": "workflows.chain_link workflows.chain_link_error workflows.chain_on_error "
    "failures.link_error_receives_request_error_and_traceback",
    "`self.replace`": "workflows.replace_with_task workflows.replace_with_chord workflows.replace_in_a_chain",
    "`self.add_to_chord`": REFUSED,
    "`app.send_task`": "calls.send_task calls.signature_by_name",
    "`apply`": "workflows.apply apps.eager apps.eager_propagates",
    "`app.conf`": "apps.conf_attributes apps.flask_task test_celery_contract.py::test_settings_route_and_limit_calls "
    "test_celery_schedules.py::test_times_are_in_the_zone_of_the_app " + WORKER,
    "`result_expires`": WARNED,
    "`worker_pool`": WARNED + " test_celery_unsupported.py::test_other_settings_are_accepted",
    "`crontab`": "apps.crontab_fields apps.schedule "
    "test_celery_contract.py::test_schedule_inserts_calls_with_arguments",
    "`solar`": REFUSED,
    "signals": "signals.signals_of_a_success signals.task_received signals.revoked_run_calls_no_hooks "
    "test_celery_worker.py::test_signals_of_a_worker_in_lambda",
    "`app.control.revoke`": "apps.revoke_before_start apps.inspect_active apps.inspect_scheduled apps.inspect_reserved "
    "apps.inspect_revoked apps.inspect_registered apps.inspect_ping",
    "other methods of `app.control`": REFUSED,
    "`get_task_logger`": "apps.logger apps.unregistered failures.error_outcomes",
    "`autodiscover_tasks`": "apps.autodiscover_tasks apps.conf_from_object apps.conf_from_envvar",
    "Flask's `FlaskTask`": "test_celery_flask.py::test_documented_views_start_and_read_tasks",
}
"""The tests of a row, by the beginning of its first cell."""

TABLE = (ROOT / "docs/celery.md").read_text().partition("## Same, different, unsupported")[2].partition("\n## ")[0]
ROWS = rows(TABLE)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.partition(" |")[0])
def test_row_has_tests(row: str) -> None:
    """A row of the table has tests, and they exist."""
    (beginning,) = [beginning for beginning in TESTS if row.startswith(beginning)]

    missing = [name for name in TESTS[beginning].split() if name not in CASES and not is_a_test(name)]

    assert missing == []


def test_tests_belong_to_rows() -> None:
    """A test backs a row that exists."""
    assert [beginning for beginning in TESTS if not any(row.startswith(beginning) for row in ROWS)] == []
