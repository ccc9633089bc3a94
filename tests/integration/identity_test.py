# SPDX-License-Identifier: Apache-2.0
"""`velo identity`: an authority, nodes below it, revocation and rotation, and what openssl says of them."""

import json
import shutil
import stat
import subprocess
import unittest

from program import ProgramTest

OPENSSL = shutil.which("openssl")


class Identity(ProgramTest):
    def setUp(self):
        super().setUp()
        for name in ("VELO_PASSPHRASE", "VELO_AUTHORITY_PASSPHRASE", "VELO_AUTHORITY"):
            self.environment.pop(name, None)
        self.authority = self.scratch / "authority"

    def identity(self, *arguments):
        return self.run_json("identity", *arguments)

    def make_authority(self, *arguments):
        return self.identity("new-authority", self.authority, *arguments)

    def make_node(self, name, *arguments):
        return self.identity("new", self.scratch / name, "--authority", self.authority, "--name", name, *arguments)

    def openssl(self, *arguments):
        if OPENSSL is None:
            self.skipTest("openssl is not installed: nobody to agree with")
        return subprocess.run([OPENSSL, *map(str, arguments)], capture_output=True, text=True, check=False)

    def test_an_authority_issues_to_nodes_and_shows_it(self):
        authority = self.make_authority("--name", "My cluster")
        self.assertEqual((authority["purpose"], authority["state"], authority["sealed"]), ("authority", "valid", False))
        node = self.make_node("a", "--names", "a.example", "192.0.2.1", "velo:a", "--lifetime", "30d")
        self.assertEqual((node["name"], node["purpose"], node["state"]), ("a", "peer", "valid"))
        self.assertEqual(node["names"], ["a.example", "192.0.2.1", "velo:a"])
        self.assertEqual(node["issuer"], "My cluster")
        self.assertRegex(node["node"], r"^[0-9a-f]{64}$")
        self.assertRegex(node["serial"], r"^[0-9A-F]{32}$")
        self.assertRegex(node["expires"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual([each["name"] for each in node["authorities"]], ["My cluster"])
        self.assertEqual(self.identity("show", self.scratch / "a"), node)
        issued = self.identity("show", self.authority)["issued"]
        self.assertEqual([(each["name"], each["serial"], each["state"]) for each in issued], [("a", node["serial"], "valid")])

    def test_a_table_is_for_people(self):
        self.make_authority()
        self.make_node("a")
        code, out, err = self.run_velo("identity", "show", self.scratch / "a")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"(?m)^state +valid$")
        code, out, _ = self.run_velo("identity", "show", self.authority)
        self.assertRegex(out, r"(?m)^[0-9A-F]{32} +a +\S+ +valid$")

    def test_secrets_are_readable_by_their_owner_only(self):
        self.make_authority()
        self.make_node("a")
        for folder in (self.authority, self.scratch / "a"):
            keys = list(folder.glob("key-*"))
            self.assertEqual(len(keys), 1)
            self.assertEqual(stat.S_IMODE(keys[0].stat().st_mode), 0o600)
            self.assertEqual(stat.S_IMODE(folder.stat().st_mode), 0o700)
        next(self.authority.glob("key-*")).chmod(0o644)
        self.assert_fails(1, "unsafe_permissions", "identity", "revoke", "--authority", self.authority)

    def test_a_revoked_node_is_revoked_for_those_who_were_told(self):
        self.make_authority()
        first, second = self.make_node("a"), self.make_node("b")
        after = self.identity("revoke", "--authority", self.authority, first["serial"])
        self.assertEqual(after["revocations"][0]["serials"], [first["serial"]])
        self.assertEqual({each["name"]: each["state"] for each in after["issued"]}, {"a": "revoked", "b": "valid"})
        self.assertEqual(self.identity("show", self.scratch / "a")["state"], "valid", "it was not told")
        updated = self.identity("update", self.scratch / "a", "--authority", self.authority)
        self.assertEqual(updated["state"], "revoked")
        after = self.identity("revoke", "--authority", self.authority, second["node"])
        self.assertEqual(after["revocations"][0]["number"], 2)
        self.assertEqual(sorted(after["revocations"][0]["serials"]), sorted([first["serial"], second["serial"]]))
        renewed = self.identity("revoke", "--authority", self.authority, "--lifetime", "90d")["revocations"][0]
        self.assertEqual((renewed["number"], len(renewed["serials"])), (3, 2))
        self.assertGreater(renewed["renew_before"], after["revocations"][0]["renew_before"])
        self.assert_fails(1, "nothing was issued", "identity", "revoke", "--authority", self.authority, "ABCD")

    def test_a_rotated_node_has_another_key_and_the_same_names(self):
        self.make_authority()
        before = self.make_node("a", "--names", "a.example")
        after = self.identity("rotate", self.scratch / "a", "--authority", self.authority)
        self.assertNotEqual(before["node"], after["node"])
        self.assertNotEqual(before["serial"], after["serial"])
        self.assertEqual((before["name"], before["names"]), (after["name"], after["names"]))
        self.assertEqual(after["state"], "valid")
        self.assertEqual(len(list((self.scratch / "a").glob("key-*"))), 1)
        self.assertEqual(len(self.identity("show", self.authority)["issued"]), 2)

    def test_passphrases_come_from_the_environment_or_a_file(self):
        self.environment["VELO_PASSPHRASE"] = "authority's"
        self.assertTrue(self.make_authority()["sealed"])
        self.assertEqual([path.suffix for path in self.authority.glob("key-*")], [".sealed"])
        secret = self.scratch / "secret"
        secret.write_text("node's\n")
        arguments = ("--authority", self.authority, "--passphrase-file", secret)
        self.environment["VELO_AUTHORITY_PASSPHRASE"] = self.environment.pop("VELO_PASSPHRASE")
        self.assertTrue(self.identity("new", self.scratch / "a", "--name", "a", *arguments)["sealed"])
        self.assertTrue(self.identity("rotate", self.scratch / "a", *arguments)["sealed"])
        self.environment["VELO_PASSPHRASE"] = "wrong"
        self.assert_fails(1, "wrong_secret", "identity", "rotate", self.scratch / "a", "--authority", self.authority)
        del self.environment["VELO_AUTHORITY_PASSPHRASE"]
        self.assert_fails(1, "wrong_secret", "identity", "new", self.scratch / "b", "--authority", self.authority, "--name", "b")
        self.assertFalse((self.scratch / "b").exists(), "nothing is made before the authority agrees")
        secret.write_text("\n")
        self.assert_fails(2, "empty", "identity", "new", self.scratch / "b", "--name", "b", *arguments)

    def test_what_cannot_be_done_is_told(self):
        self.make_authority()
        node = self.scratch / "a"
        self.make_node("a")
        self.assert_fails(2, "rotate", "identity", "new", node, "--authority", self.authority, "--name", "a")
        self.assert_fails(2, "no authority", "identity", "new", self.scratch / "b", "--authority", node, "--name", "b")
        self.assert_fails(2, "no host name", "identity", "new", self.scratch / "c", "--authority", self.authority, "--name", "c", "--names", "a b")
        self.assert_fails(2, "not rotated", "identity", "rotate", self.authority, "--authority", self.authority)
        self.assert_fails(1, "not_found", "identity", "show", self.scratch / "nobody")
        self.assert_fails(2, "--authority", "identity", "new", self.scratch / "d", "--name", "d")
        self.assert_fails(2, "no duration", "identity", "new-authority", self.scratch / "e", "--lifetime", "soon")
        self.environment["VELO_AUTHORITY"] = str(self.authority)
        self.assertEqual(self.identity("new", self.scratch / "d", "--name", "d")["state"], "valid")

    def test_an_attempt_that_failed_is_taken_up_again(self):
        self.make_authority()
        node = self.scratch / "a"
        self.assert_fails(2, "no host name", "identity", "new", node, "--authority", self.authority, "--name", "a", "--names", "a b")
        self.assertEqual(self.make_node("a")["state"], "valid")

    def test_every_command_shows_examples(self):
        for command in ("new-authority", "new", "show", "rotate", "revoke", "update"):
            code, out, _ = self.run_velo("identity", command, "--help")
            self.assertEqual(code, 0)
            self.assertIn(f"velo identity {command}", out.split("Examples:")[1])
            words = " ".join(out.split())
            self.assertEqual("opens the authority's key [VELO_AUTHORITY_PASSPHRASE" in words, command == "revoke")
            self.assertEqual("seals the key" in words, command in ("new-authority", "new", "rotate"))

    def test_openssl_believes_our_nodes_and_our_revocations(self):
        self.make_authority()
        node = self.make_node("a", "--names", "a.example", "10.0.0.1")
        trust, leaf = self.authority / "trust.pem", self.scratch / "a" / "certificate.pem"
        for purpose in ("sslclient", "sslserver"):
            done = self.openssl("verify", "-x509_strict", "-purpose", purpose, "-CAfile", trust, leaf)
            self.assertEqual(done.returncode, 0, done.stderr)
        done = self.openssl("verify", "-verify_hostname", "a.example", "-CAfile", trust, leaf)
        self.assertEqual(done.returncode, 0, done.stderr)
        done = self.openssl("x509", "-in", leaf, "-noout", "-serial")
        self.assertEqual(done.stdout.strip(), f"serial={node['serial']}")
        self.identity("revoke", "--authority", self.authority, node["node"])
        done = self.openssl("verify", "-crl_check", "-CRLfile", self.authority / "revoked.pem", "-CAfile", trust, leaf)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("certificate revoked", done.stderr)
        key = next((self.scratch / "a").glob("key-*.pem"))
        done = self.openssl("pkey", "-in", key, "-pubout")
        self.assertEqual(done.stdout, self.openssl("x509", "-in", leaf, "-noout", "-pubkey").stdout)

    def test_a_folder_that_openssl_filled_is_an_identity(self):
        made = self.scratch / "made"
        made.mkdir(mode=0o700)
        key, request = made / "key.pem", made / "request.pem"
        for step in (
            ("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", made / "ca.key"),
            ("req", "-x509", "-new", "-key", made / "ca.key", "-subj", "/CN=site", "-days", "30", "-out", made / "trust.pem",
             "-addext", "keyUsage=critical,keyCertSign,cRLSign"),
            ("genpkey", "-algorithm", "ed25519", "-out", key),
            ("req", "-new", "-key", key, "-subj", "/CN=node", "-out", request),
        ):  # fmt: skip
            done = self.openssl(*step)
            self.assertEqual(done.returncode, 0, done.stderr)
        extensions = made / "extensions"
        extensions.write_text("extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=DNS:n.example\nkeyUsage=digitalSignature\n")
        done = self.openssl("x509", "-req", "-in", request, "-CA", made / "trust.pem", "-CAkey", made / "ca.key", "-days", "9",
                            "-extfile", extensions, "-out", made / "certificate.pem")  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        public = self.openssl("pkey", "-in", key, "-pubout", "-outform", "DER", "-out", made / "public.der")
        self.assertEqual(public.returncode, 0, public.stderr)
        digest = self.openssl("dgst", "-sha256", "-r", made / "public.der").stdout.split()[0]
        key.rename(made / f"key-{digest}.pem")
        shown = self.identity("show", made)
        self.assertEqual((shown["node"], shown["name"], shown["state"]), (digest, "node", "valid"))
        self.assertEqual(shown["names"], ["n.example"])


if __name__ == "__main__":
    unittest.main()
