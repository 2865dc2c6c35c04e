"""Every attack that is thought of: what comes of it, and which tests try it.

docs/security.md shows this table, and a law sees to it that both say the same.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Attack:
    """tests: `FILE::FUNCTION` below tests/."""

    name: str
    outcome: str
    tests: tuple[str, ...]


METADATA, FLEET = "attacks/test_metadata.py", "attacks/test_fleet.py"
FLOODING, ACKS = "attacks/test_flooding.py", "attacks/test_acks.py"
RULES, DEPOT = "attacks/test_broker_rules.py", "story/test_depot_offers.py"
SIGNER, ASK = "unit/test_signer_refusals.py", "story/test_ask.py"
PARTS = "unit/test_depot_parts.py"
ENROLLED = "story/test_enrolled.py"
ROUTES, ENTRANCE = "attacks/test_web_routes.py", "attacks/test_web_entrance.py"
WORDS = "attacks/test_web_words.py"


def _tests(file: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{file}::test_{name}" for name in names)


ATTACKS = (
    Attack(
        "rollback to older metadata",
        "refused, and said as a fault; the device stays at what is newer, also after a restart",
        _tests(METADATA, "rollback_to_an_older_timestamp",
               "rollback_is_remembered_when_the_newer_could_not_be_had_whole",
               "rollback_of_a_release_by_a_thief_of_the_online_keys")
        + _tests(FLEET, "rollback_to_older_metadata")
        + _tests(SIGNER, "a_release_of_before"),
    ),
    Attack(
        "freeze: nothing newer is said",
        "unseen until the timestamp expires, in a week; then a fault, and the model runs on",
        _tests(METADATA, "freeze") + _tests(FLEET, "freeze"),
    ),
    Attack(
        "fast-forward of versions or of the time",
        "devices take nothing more until `vedette fleet keys rotate online`; then they go on",
        _tests(METADATA, "fast_forward_is_recovered_from_by_new_keys",
               "a_stolen_timestamp_that_is_of_the_future_is_recovered_from")
        + _tests(FLEET, "fast_forward_and_recovery_by_rotation_of_the_online_keys"),
    ),
    Attack(
        "mix and match of files of different days",
        "refused",
        _tests(METADATA, "mix_and_match", "mix_and_match_of_signed_files_of_the_same_version"),
    ),
    Attack(
        "a wrong key, another fleet's, another role's",
        "refused by devices, depot and operators",
        _tests(METADATA, "wrong_key", "wrong_key_of_another_role", "another_fleets_files")
        + _tests(FLEET, "wrong_key")
        + _tests(SIGNER, "a_release_signed_by_a_wrong_key"),
    ),
    Attack(
        "a revoked key",
        "refused from the moment that a device, or the depot, knows of the rotation",
        _tests(METADATA, "a_revoked_key") + _tests(FLEET, "a_revoked_command_key"),
    ),
    Attack(
        "too few signatures",
        "refused, with how many lack",
        _tests(METADATA, "threshold_not_met", "a_root_that_the_old_keys_did_not_sign")
        + _tests(SIGNER, "an_unsigned_release"),
    ),
    Attack(
        "endless data, giant metadata",
        "no more is read than may be: 64 KiB of a root, 512 KiB of deployments, 8 MiB of releases",
        _tests(METADATA, "endless_and_giant_metadata",
               "giant_deployments_of_a_thief_of_the_online_keys")
        + _tests("unit/test_https.py", "endless_answers_end")
        + _tests("unit/test_block_client.py", "what_is_too_large_is_refused"),
    ),
    Attack(
        "a tampered bundle or block",
        "each block is judged as it lands; the right one is asked for again",
        _tests(METADATA, "tampered_block", "other_bytes_than_were_signed")
        + _tests(FLEET, "tampered_bundle"),
    ),
    Attack(
        "a bundle that leads out of its folder, or unpacks to gigabytes",
        "refused before anything is unpacked, also with the release key's signature",
        _tests(FLEET, "bundle_that_bites")
        + _tests("unit/test_bundles.py", "a_signed_bundle_that_is_none_is_refused")
        + _tests(DEPOT, "a_candidate_that_is_no_bundle"),
    ),
    Attack(
        "a stolen online key: deploy what was retired, or was never signed",
        "reported as rejected; the model of before runs on",
        _tests(METADATA, "online_thief_cannot_release")
        + _tests(FLEET, "a_stolen_online_key_cannot_deploy_what_was_retired",
                 "a_deployment_that_names_an_unknown_model"),
    ),
    Attack(
        "a stolen online key: a trial without gates",
        "the floors in the manifest hold; where there are none, only those that are usual fall",
        _tests(FLEET, "a_stolen_online_key_cannot_lower_floors"),
    ),
    Attack(
        "a forged deployment, offer or release",
        "refused by the depot, without a trace in its folder",
        _tests(SIGNER, "a_forged_wish", "a_release_that_was_changed", "a_wish_for_others")
        + _tests(DEPOT, "wishes_that_are_refused"),
    ),
    Attack(
        "a replayed deployment",
        "refused: it follows what is not in force any more",
        _tests(SIGNER, "a_replayed_wish", "an_expired_wish"),
    ),
    Attack(
        "a forged command",
        "not done; answered at most once a second",
        _tests(ASK, "thieves_get_nothing_done")
        + _tests("unit/test_commander.py", "strangers_cannot_make_it_talk_much",
                 "a_forged_copy_does_not_talk_the_operator_out_of_the_answer"),
    ),
    Attack(
        "a replayed command",
        "answered as the first time, and not done again: also after a restart, by a wrong clock",
        _tests(ASK, "a_replay_is_answered_and_not_done_again",
               "a_command_that_the_broker_kept_is_not_carried_out")
        + _tests("unit/test_commander.py", "a_clock_that_falls_back_lets_nothing_in_again"),
    ),
    Attack(
        "a forged ack",
        "with the registry's password, or without rules at the broker, and where a registry is "
        "configured: records that were made are forgotten before they are stored, which the "
        "registry sees as a gap; never those to come",
        _tests(ACKS, "a_forged_ack_costs_what_was_made_and_nothing_to_come",
               "a_forged_ack_of_another_spool_or_where_none_counts")
        + _tests(RULES, "only_operators_command_and_only_the_registry_acks"),
    ),
    Attack(
        "a replayed ack",
        "changes nothing",
        _tests(ACKS, "a_replayed_ack_changes_nothing")
        + _tests("unit/test_courier_registry.py",
                 "stale_acks_without_end_cause_one_question_in_thirty_seconds"),
    ),
    Attack(
        "a forged answer of the depot to an operator",
        "not believed: the command looks what is in force, and says so",
        _tests(FLEET, "a_forged_answer_makes_no_push_succeed"),
    ),
    Attack(
        "a malicious depot or broker: wrong blocks, another file's, words that there is nothing",
        "nothing of it is taken or rejected; the right bytes count whenever they come",
        _tests(FLEET, "malicious_depot_of_wrong_blocks_and_of_words_that_there_is_nothing",
               "malicious_depot_that_never_has_anything")
        + _tests("unit/test_block_client.py", "a_malicious_broker_that_answers_first_with_garbage")
        + _tests("unit/test_bundles.py", "who_hands_out_garbage_does_not_make_a_model_bad"),
    ),
    Attack(
        "a mirror that drips",
        "given up after 20 s to 2 minutes",
        _tests("unit/test_https.py", "an_answer_that_drips_is_given_up",
               "a_bundle_that_drips_is_given_up", "a_head_that_drips_is_given_up"),
    ),
    Attack(
        "a device that floods the depot",
        "it has its share: 256 blocks and 250 messages that wait; the others get theirs",
        _tests(FLOODING, "a_device_that_floods_the_depot_with_requests",
               "a_device_that_floods_the_depot_with_messages", "a_device_that_floods_a_real_depot")
        + _tests("unit/test_block_server.py", "floods_cost_little"),
    ),
    Attack(
        "offers without end, and one that drips",
        "eight wait, the depot answers 20 a second, and devices are served meanwhile; what nobody "
        "has signed has a minute, and then it is another's turn",
        _tests(FLOODING, "a_candidate_that_drips_keeps_no_release_waiting")
        + _tests(DEPOT, "devices_are_served_while_an_offer_comes", "garbage_on_every_topic")
        + _tests(PARTS, "strangers_cannot_make_it_talk_without_end"),
    ),
    Attack(
        "a false bell, also without end",
        "the depot overrules it; devices look once a second at most; bundles have 4/5 of the time",
        _tests(FLEET, "garbage_on_the_bell")
        + _tests(FLOODING, "a_bell_that_rings_without_end",
                 "a_false_bell_that_is_overruled_in_time_is_not_heard")
        + _tests(PARTS, "who_rings_again_and_again_does_not_have_the_last_word"),
    ),
    Attack(
        "a device that writes on another's topics, or in its name",
        "the broker drops it, with the rules of [wire.md](wire.md)",
        _tests(RULES, "a_device_says_nothing_as_another", "a_will_speaks_as_its_device_only",
               "devices_and_registry_hand_out_no_models"),
    ),
    Attack(
        "a device without a certificate, with another fleet's, or with one that was revoked",
        "the broker refuses it, with the files of `vedette fleet broker`; a connection that is "
        "open can say and hear nothing after a reload, and is ended by a restart",
        _tests(ENROLLED, "without_a_certificate_or_with_anothers_nobody_comes",
               "a_device_speaks_as_itself_only", "roles_do_their_work_and_no_more",
               "who_was_revoked_is_out_after_a_reload", "the_same_name_again",
               "a_password_beside_certificates", "a_new_password_ends_the_old_one_at_once"),
    ),
    Attack(
        "a NAME.vedette that bites: paths for names, other formats, bombs",
        "refused in one line; nothing is written",
        _tests("unit/test_enrolment.py", "what_is_wrong_is_said", "what_is_no_such_file",
               "garbage_is_refused", "a_flipped_byte_is_refused_or_another_good_file"),
    ),
    Attack(
        "signed garbage, torn and flipped files",
        "a refusal in one line, never a crash; what was believed before stays",
        _tests(METADATA, "garbage_of_any_kind_is_a_trouble_and_no_crash",
               "a_torn_file_locks_nobody_out", "a_flipped_bit_is_no_belief"),
    ),
    Attack(
        "the web without sign-in, as a viewer, with a forged cookie or token",
        "every route but four sends to sign-in or refuses; what a viewer tries is in the trail",
        _tests(ROUTES, "only_these_are_open", "without_sign_in", "with_a_forged_session",
               "with_a_forged_token", "a_token_opens_no_page_and_changes_nothing",
               "a_viewer_does_nothing", "methods_and_paths_that_nobody_offers",
               "no_file_but_those_for_pages", "a_guard_forgets_no_route"),
    ),
    Attack(
        "another site acts through an operator's browser: CSRF, frames, DNS rebinding",
        "refused: whatever changes something needs our origin and the session's token",
        _tests(ROUTES, "nobody_else_makes_an_operator_do_it",
               "the_token_of_another_session_is_none", "a_name_that_is_not_ours",
               "headers_of_every_answer")
        + _tests(ENTRANCE, "nobody_is_signed_in_by_another_site", "nobody_is_sent_elsewhere"),
    ),
    Attack(
        "guessing passwords; stolen, planted and old sessions",
        "slowed down; a secret is new at each sign-in, and ends with it, also in open streams",
        _tests(ENTRANCE, "guessing_is_slowed_down",
               "what_is_said_does_not_tell_whether_there_is_such_an_account",
               "a_cookie_that_was_planted_is_not_used", "signing_in_again_ends_the_session_before",
               "signing_out_ends_the_session_for_everybody", "cookies_over_https_only",
               "behind_a_proxy_its_word_counts_not_the_browsers",
               "without_a_proxy_nobody_says_where_they_are", "a_stream_ends_with_its_session"),
    ),
    Attack(
        "words of devices and of addresses: XSS, SQL, formulas in CSV",
        "they are shown as words",
        _tests(WORDS, "words_of_a_device_are_words", "what_one_searches_for_is_words",
               "no_cell_is_a_formula", "words_are_no_sql",
               "devices_have_only_names_that_names_can_be"),
    ),
    Attack(
        "requests of any shape and size at the web",
        "a sentence and a 4xx, never a 5xx, never a traceback",
        _tests("attacks/test_web_schema.py", "whatever_is_asked")
        + _tests(ENTRANCE, "a_body_of_any_size", "forms_that_are_none",
                 "a_bug_is_not_shown_to_anybody"),
    ),
)  # fmt: skip


def as_markdown() -> str:
    """The table of docs/security.md."""
    lines = ["| attack | what happens | tested by |", "|---|---|---|"]
    for one in ATTACKS:
        files: dict[str, list[str]] = {}
        for test in one.tests:
            file, _, name = test.partition("::test_")
            files.setdefault(file.removesuffix(".py"), []).append(f"`{name}`")
        told = "; ".join(f"{file}: {', '.join(names)}" for file, names in files.items())
        lines.append(f"| {one.name} | {one.outcome} | {told} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(as_markdown(), end="")
