# SPDX-License-Identifier: Apache-2.0
"""`velo sim`: runs that hold, runs that fail and are replayed and shrunk, and what it refuses."""

import json
import shlex
import subprocess
import unittest

from program import BIN, PATIENCE, ProgramTest

PLANTED = BIN / "velo_with_planted_defects"


class Sim(ProgramTest):
    def run_planted(self, *arguments):
        ended = subprocess.run(
            [PLANTED, "sim", "run", *map(str, arguments)],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return ended.returncode, ended.stdout, ended.stderr

    def run_planted_json(self, *arguments):
        code, out, _ = self.run_planted(*arguments, "-o", "json")
        return code, json.loads(out)


class Holding(Sim):
    def test_scenarios_are_listed_with_their_promises(self):
        listed = self.run_json("sim", "list")
        self.assertIn("quorum-register", [each["name"] for each in listed])
        self.assertTrue(all(len(each["description"]) > 20 for each in listed))
        self.assertFalse([each for each in listed if "planted" in each["name"]])
        _, out, _ = self.run_velo("sim", "list")
        self.assertRegex(out, r"\ASCENARIO +PROMISE\n")

    def test_a_run_that_holds_is_one_line_and_exit_code_0(self):
        code, out, err = self.run_velo("sim", "run", "quorum-register", "--seeds", 5)
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"\Aok  quorum-register: 0 of 5 seeds failed, [\d ]+ events, .*hash [0-9a-f]{16}.*\n\Z")

    def test_the_totals_are_the_same_on_any_number_of_threads(self):
        alone = self.run_json("sim", "run", "quorum-register", "--seeds", 8, "--jobs", 1)
        several = self.run_json("sim", "run", "quorum-register", "--seeds", 8, "--jobs", 3)
        self.assertEqual((alone["runs"], alone["failures"], alone["lowest_failure"]), (8, 0, None))
        for field in ("combined_hash", "events", "virtual_seconds", "figures"):
            self.assertEqual(alone[field], several[field])
        other = self.run_json("sim", "run", "quorum-register", "--seeds", 8, "--first", 2)
        self.assertNotEqual(alone["combined_hash"], other["combined_hash"])

    def test_one_seed_can_be_traced(self):
        code, out, _ = self.run_velo("sim", "run", "quorum-register", "--seed", 3, "--trace")
        self.assertEqual(code, 0)
        lines = out.splitlines()
        self.assertEqual(lines[0], "0.000000000 replica0 boot 0 0")
        shown = self.run_json("sim", "run", "quorum-register", "--seed", 3)
        self.assertEqual(len(lines) - 1, shown["events"])
        self.assertIn(shown["combined_hash"], lines[-1])

    def test_a_plan_replaces_the_seeds_own(self):
        plan = self.scratch / "plan"
        plan.write_text("# nothing but a crash\n1s crash 0 any for 2s\n")
        shown = self.run_json("sim", "run", "quorum-register", "--seed", 3, "--plan", plan)
        figures = {each["name"]: each["value"] for each in shown["figures"]}
        self.assertEqual(figures["crashes"], 1)


class Failing(Sim):
    def test_the_lowest_failing_seed_is_replayed_and_shrunk_and_its_command_fails_again(self):
        code, shown = self.run_planted_json("planted-forgetting", "--seeds", 20, "--jobs", 2)
        self.assertEqual(code, 1)
        found = shown["lowest_failure"]
        self.assertGreater(shown["failures"], 5)
        self.assertTrue(found["replayed"])
        self.assertTrue(found["shrink_finished"])
        self.assertGreater(len(found["plan"]), 10)
        self.assertEqual(len(found["shrunk"]), 1, found)
        self.assertRegex(found["shrunk"][0], r" (crash|power_off) 0 any for ")
        self.assertRegex(found["shrunk_failure"], r"although version \d+ was complete")
        before, _, after = found["command"].partition(" | ")
        self.assertTrue(after.startswith("velo sim run "))
        again = subprocess.run(
            ["sh", "-c", f"{before} | {shlex.quote(str(PLANTED))} {after.removeprefix('velo ')} -o json"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual(again.returncode, 1, again.stderr)
        self.assertEqual(json.loads(again.stdout)["lowest_failure"]["failure"], found["shrunk_failure"])

    def test_a_failure_is_told_to_people_with_the_plan_and_the_command(self):
        code, out, err = self.run_planted("planted-forgetting", "--seeds", 20)
        self.assertEqual(code, 1)
        self.assertRegex(out, r"\AFAIL  planted-forgetting: \d+ of 20 seeds failed")
        self.assertRegex(out, r"(?m)^replayed: the same again, trace hash [0-9a-f]{16}$")
        self.assertRegex(out, r"(?m)^shrunk in \d+ runs from 16 faults to 1: client ")
        self.assertRegex(out, r"(?m)^again: printf .* \| velo sim run planted-forgetting --seed \d+ --plan -$")
        self.assertRegex(err, r"\Avelo: planted-forgetting, seed \d+: [^\n]+; hint: again: [^\n]+\n\Z")

    def test_shrinking_can_be_left_out(self):
        code, shown = self.run_planted_json("planted-forgetting", "--seeds", 20, "--no-shrink")
        found = shown["lowest_failure"]
        self.assertEqual((code, found["shrunk"], found["shrink_runs"]), (1, None, 0))
        self.assertEqual(found["command"], f"velo sim run planted-forgetting --seed {found['seed']}")

    def test_it_can_stop_at_the_first_failure(self):
        code, shown = self.run_planted_json("planted-forgetting", "--seeds", 1000, "--jobs", 1, "--fail-fast", "--no-shrink")
        self.assertEqual((code, shown["failures"]), (1, 1))
        self.assertLess(shown["runs"], 1000)

    def test_what_does_not_replay_is_exit_code_4(self):
        code, out, err = self.run_planted("planted-moody", "--seeds", 3)
        self.assertEqual(code, 4)
        self.assertIn("not deterministic", out)
        self.assertIn("not when it was run again", err)


class Refusing(Sim):
    def test_what_cannot_be_run_is_exit_code_2(self):
        plan = self.scratch / "plan"
        plan.write_text("1s crash 0 any\n1s sneeze 0 any\n")
        missing = self.scratch / "missing"
        run = ("sim", "run", "quorum-register")
        self.assert_fails(2, "no scenario is called 'nope'", "sim", "run", "nope")
        self.assert_fails(2, "SCENARIO", "sim", "run")
        self.assert_fails(2, "subcommand", "sim")
        self.assert_fails(2, "line 2: fault: 'sneeze'", *run, "--seed", 1, "--plan", plan)
        self.assert_fails(2, "cannot open", *run, "--seed", 1, "--plan", missing)
        self.assert_fails(2, "--seed", *run, "--plan", plan)
        self.assert_fails(2, "--seed", *run, "--trace")
        self.assert_fails(2, "--seed", *run, "--seed", 1, "--seeds", 2)
        self.assert_fails(2, "--seeds", *run, "--seeds", 0)
        self.assert_fails(2, "--jobs", *run, "--jobs", 0)
        self.assert_fails(2, "not JSON", *run, "--seed", 1, "--trace", "-o", "json")


if __name__ == "__main__":
    unittest.main()
