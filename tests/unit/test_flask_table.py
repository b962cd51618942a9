"""Every row of the tables in docs/flask.md has the tests that are named here."""

import re

import pytest

from tests.loading import ROOT
from tests.tables import is_a_test, rows

TESTS = {
    "routes": "test_asgi_flask.py::test_view_answers_sync_and_async "
    "test_asgi_request_threads.py::test_request_with_an_async_view_runs_on_the_loops_thread",
    "`await`": "test_asgi_context.py::test_gather_and_tasks_see_the_request test_asgi_flask.py::"
    "test_hooks_run_in_flasks_order test_asgi_context.py::test_task_group_raises_its_group_in_the_view "
    "test_asgi_flask.py::test_sync_view_awaits_without_blocking",
    "class-based views": "test_asgi_flask.py::test_class_based_views_answer_sync_and_async",
    "blueprints": "test_asgi_flask.py::test_nested_blueprints_build_their_urls",
    "`before_request`": "test_asgi_flask.py::test_hooks_run_in_flasks_order test_asgi_flask.py::"
    "test_after_this_request_changes_the_answer test_flask_features.py::"
    "test_appcontext_is_torn_down_after_the_response",
    "`url_value_preprocessor`": "test_flask_features.py::test_url_values_and_defaults_of_blueprints_are_applied",
    "error handlers": "test_asgi_flask.py::test_error_handlers_answer_sync_and_async test_asgi_flask.py::"
    "test_abort_answers_its_status test_web_problems.py::test_error_handler_of_a_blueprint_wins",
    "errors without a handler": "test_web_problems.py::test_unknown_error_is_opaque_and_logged_once "
    "test_pour.py::test_flasks_tutorial_responds_as_under_flasks_own_server",
    "`request`": "test_asgi_streams.py::test_upload_arrives_in_chunks_and_whole test_web_lambda.py::"
    "test_body_over_the_limit_is_answered_413 test_asgi_werkzeug.py::"
    "test_bridge_shows_the_app_what_werkzeugs_server_shows",
    "`g`": "test_asgi_flask.py::test_g_set_in_the_view_is_seen_by_hooks test_asgi_context.py::"
    "test_to_thread_sees_the_request test_asgi_context.py::test_concurrent_requests_do_not_mix",
    "sessions": "test_asgi_flask.py::test_session_lasts_over_requests_and_cookies_stay_apart test_existing.py::"
    "test_secret_key_of_the_environment_replaces_that_of_the_code",
    "`flash`": "test_flask_features.py::test_flashed_message_is_shown_once",
    "cookies": "test_flask_features.py::test_response_sets_and_deletes_cookies test_web_lambda.py::"
    "test_several_cookies_stay_apart",
    "templates": "test_flask_features.py::test_templates_have_filters_and_context_processors "
    "test_flask_features.py::test_template_is_streamed",
    "static files": "test_flask_features.py::test_static_file_is_served_and_revalidated test_layer_dates.py::"
    "test_changed_file_of_the_same_size_has_another_entity_tag test_web_browsers.py::"
    "test_response_over_lambdas_limit_is_a_clear_error",
    "`send_file`": "test_asgi_streams.py::test_file_answers_whole_and_in_ranges",
    "streamed responses": "test_asgi_streams.py::test_stream_with_context_keeps_request_and_session "
    "test_web_lambda.py::test_generator_answers_in_one_piece",
    "`url_for`": "test_asgi_environ.py::test_url_for_builds_links_below_the_mount_point test_web_mangum.py::"
    "test_base_path_is_left_out_of_the_path_and_kept_in_links",
    "signals": "test_asgi_flask.py::test_signals_reach_their_receivers",
    "`app.test_client()`": "test_asgi_context.py::test_app_still_works_without_the_bridge",
    "`app.cli`": "test_flask_features.py::test_commands_of_the_application_run test_local_commands.py::"
    "test_flask_runs_a_command_of_the_application",
    "an application context": "test_reports_pushed_context.py::test_invocation_does_not_see_the_user_of_the_last",
    "middleware": "test_asgi_application.py::test_extension_that_wraps_wsgi_app_is_called "
    "test_asgi_request_threads.py::test_proxy_fix_keeps_async_views_on_the_loop",
    "threads and tasks": "test_web_lambda.py::test_task_left_behind_is_awaited test_web_lambda.py::"
    "test_task_left_behind_for_long_is_cancelled",
    "variables of a module": "test_pour.py::test_findings_have_their_lines test_pour.py::"
    "test_refused_application_leaves_the_bundle_as_it_is",
    "files that the application writes": "test_existing.py::test_writable_application_runs_from_a_copy",
    "the debugger": "test_executor_hot_reload.py::test_edited_function_runs_at_once "
    "test_executor_debugging.py::test_invocation_stops_at_a_breakpoint",
    "WebSockets": "test_asgi_application.py::test_websocket_is_refused test_asgi_servers.py::"
    "test_websocket_is_answered_403",
    "Flask-Login": "test_flask_features.py::test_flask_login_keeps_the_user_and_protects_views",
    "Flask-WTF": "test_flask_features.py::test_flask_wtf_validates_forms_and_their_token",
    "Flask-CORS": "test_flask_features.py::test_flask_cors_responds_to_preflight_requests",
    "Flask-SQLAlchemy": "test_flask_features.py::test_flask_sqlalchemy_has_a_session_for_each_request",
    "Flask-Caching": "test_flask_features.py::test_flask_caching_caches_views_and_functions",
    "Flask-Session": "test_flask_features.py::test_flask_session_keeps_data_on_the_server",
    "Flask-Admin": "test_pour.py::test_application_responds_as_under_flasks_own_server",
    "flask-smorest": "test_pour.py::test_application_responds_as_under_flasks_own_server",
    "Flask-SocketIO": "test_pour.py::test_findings_have_their_lines",
}
"""The tests of a row, by the beginning of its first cell."""

PAGE = (ROOT / "docs/flask.md").read_text()
ROWS = rows(PAGE)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.partition(" |")[0])
def test_row_has_tests(row: str) -> None:
    """A row of the table has tests, and they exist."""
    (beginning,) = [beginning for beginning in TESTS if re.match(rf"{re.escape(beginning)}(?!\w)", row)]

    missing = [name for name in TESTS[beginning].split() if not is_a_test(name)]

    assert missing == []


def test_tests_belong_to_rows() -> None:
    """A test backs a row that exists."""
    assert [beginning for beginning in TESTS if not any(row.startswith(beginning) for row in ROWS)] == []
