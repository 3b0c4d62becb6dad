"""The slowest tests of a recorded run, with a reason for each.

After `make test-all RECORDS=benchmarks/results/tests`, `python tests/helpers/slowest.py` writes slowest.md beside the
records. A test among the slowest that has no reason below is refused: make it faster, or say why it is needed.
"""

import json
from pathlib import Path

RECORDS = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "tests"
TABLE = RECORDS / "slowest.md"
COUNT = 30
TIERS = ("fast", "slow", "alone")
KILLED = "kills a run and compares the resumed one with a whole one, so it trains three times in new processes"
NEW_PROCESSES = "starts the command in a new process, which loads PyTorch first"
MANY_CASES = "hundreds of generated inputs, each written to the disk and read"
REASONS = {
    "test_quick_run_writes_everything_and_a_section_made_again_replaces_its_own_record": (
        "runs each section of the speed benchmark once, in processes of their own"
    ),
    "test_page": "runs each block of code of the page in a fresh copy of the checkout, as a reader would",
    "test_readme": "runs each block of code of the README in a fresh copy of the checkout, as a reader would",
    "test_rounds_of_work_leave_nothing_open_and_nothing_in_memory": (
        "a leak shows only over many rounds of whole trainings"
    ),
    "test_killed_twice_it_ends_with_the_same_records_and_report": (
        "runs a small study twice, once killed twice, and makes both reports"
    ),
    "test_a_cluster_that_loses_a_worker_does_every_cell_once": "starts a Dask cluster and runs a small study on it",
    "test_a_dry_run_lists_cells_and_the_time_that_they_may_take": (
        "waits for a small study that several tests share"
    ),
    "test_a_failed_cell_is_recorded_and_tried_again_on_request_only": "runs a small study three times",
    "test_a_signal_ends_it_and_its_workers_and_it_can_go_on": "waits for workers that load PyTorch and train",
    "test_a_cell_fails_when_workers_died_on_it_twice_and_the_others_go_on": "starts new workers for those that died",
    "test_workers_share_the_cores": "starts workers, which load PyTorch",
    "test_parts_need_not_fit_in_memory_together": "writes files of several blocks as text, with memory traced",
    "test_killed_at_any_renaming_of_a_file_it_goes_on_to_the_same_numbers": (
        "kills a run at each file that it renames, and resumes it each time"
    ),
    "test_killed_at_a_random_moment_it_goes_on_to_the_same_numbers": KILLED,
    "test_a_killed_run_ends_as_if_nothing_had_happened": KILLED,
    "test_a_killed_run_has_every_epoch_once": KILLED,
    "test_sigterm_saves_the_last_whole_epoch_and_ends_with_143": KILLED,
    "test_a_signal_saves_the_last_whole_epoch": KILLED,
    "test_a_fork_after_fit_does_not_hang": NEW_PROCESSES,
    "test_sigterm_while_it_evaluates_ends_at_once_with_143": NEW_PROCESSES,
    "test_sigterm_while_starting_up_ends_with_143": NEW_PROCESSES,
    "test_ctrl_c_while_starting_up_ends_with_130": NEW_PROCESSES,
    "test_ctrl_c_leaves_a_readable_folder": NEW_PROCESSES,
    "test_a_full_disk_is_one_sentence_and_leaves_no_torn_file": NEW_PROCESSES,
    "test_a_disk_that_fills_up_leaves_the_checkpoint_before": KILLED,
    "test_a_disk_that_fails_at_any_file_is_one_sentence_and_the_run_goes_on_later": KILLED,
    "test_a_read_only_folder_is_one_sentence_and_nothing_changes": NEW_PROCESSES,
    "test_of_two_runs_with_one_folder_one_is_refused_and_one_is_whole": NEW_PROCESSES,
    "test_loss_and_gradients_are_those_of_one_process": (
        "the first test waits until 2 or 4 processes have trained with each of some fifty settings"
    ),
    "test_a_dead_process_ends_the_others_and_any_number_goes_on": "starts a run of several processes three times",
    "test_two_processes_stream_one_set": "the set must be larger than the window of the loader, 16,384 graphs",
    "test_one_command_on_two_processes": "trains two seeds with one process and with two",
    "test_several_seeds_go_on_where_they_were": "trains and evaluates seven times",
    "test_a_run_from_before_the_views_goes_on_and_runs_again": "trains and evaluates three times",
    "test_each_of_the_sets_runs_to_the_end": "trains on one of the eight data sets, the largest of 2,000 graphs",
    "test_the_table_shows_both_encoders_and_every_probe": "fits all four probes",
    "test_a_reader_that_goes_away_does_not_end_the_run": NEW_PROCESSES,
    "test_a_locale_without_the_signs_still_has_its_table": NEW_PROCESSES,
    "test_a_planted_signal_is_found_and_shuffled_labels_give_chance": "trains until a planted signal is found",
    "test_the_installed_wheel_runs_elsewhere": "builds a wheel, installs it and runs it in a new process",
    "test_damage_gives_a_sound_set_or_an_error_that_names_a_file": MANY_CASES,
    "test_written_sets_are_read_back_equal": MANY_CASES,
    "test_settings_in_yaml_are_read_or_refused": MANY_CASES,
    "test_a_zip_file_is_unpacked_as_it_was_packed_or_refused": MANY_CASES,
    "test_a_damaged_zip_file_is_unpacked_as_it_was_or_refused": MANY_CASES,
    "test_an_encoders_arguments_are_read_or_refused": MANY_CASES,
    "test_the_same_records_give_the_same_bytes": "makes the study's report twice, with all its pictures",
    "test_only_corrected_p_values_are_marked": "makes the study's report, with all its pictures",
    "test_the_corpus_is_the_same_in_every_process": "reads the documentation of every installed module",
    "test_own_graphs_fall_into_clusters": "trains the example to its end",
    "test_an_example_runs_and_writes_its_table": "trains the example to its end",
    "test_molecules_run_and_write_their_table": "trains the example to its end",
    "test_every_page_reads_well": "opens every page of the site in a browser",
    "test_processes_give_the_same_files_as_one": "starts workers, which load PyTorch",
    "test_pages_are_not_cleared_again_and_again": "writes 64 MiB sixty times in new processes",
    "test_two_processes_ask_for_one_set_at_once": NEW_PROCESSES,
    "test_a_run_that_is_one_of_many_tasks_of_a_job_has_its_log": NEW_PROCESSES,
}


def table(folder=RECORDS):
    """Return the slowest tests of all records in a folder as a table in Markdown."""
    records = [json.loads((folder / f"{tier}.json").read_text()) for tier in TIERS]
    seconds = {
        test: seconds for record in records for test, (_, seconds) in record["tests"].items()
    }
    slowest = sorted(seconds, key=lambda test: (-seconds[test], test))[:COUNT]
    commands = [f"- `{record['command']}`, ended {record['ended']}" for record in records]
    rows = [f"| {seconds[test]:.1f} | `{test}` | {reason(test)} |" for test in slowest]
    head = ["| seconds | test | why it is slow |", "|---|---|---|"]
    title = f"# The slowest {COUNT} of {len(seconds):,} tests"
    return "\n".join([title, "", *commands, "", *head, *rows, ""])


def reason(test):
    """Return why a test is slow, or raise KeyError."""
    return REASONS[test.partition("[")[0].rpartition("::")[2]]


if __name__ == "__main__":
    TABLE.write_text(table())
