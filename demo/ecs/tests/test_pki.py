import subprocess
import tempfile
from pathlib import Path

from cryptography import x509
from django.conf import settings
from django.db import IntegrityError, transaction
from django.test import TestCase

from ecs.pki import authority
from ecs.pki.models import Certificate
from ecs.users.utils import create_user


def openssl(*arguments, **options):
    return subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False, **options)


class CertificateTest(TestCase):
    def setUp(self):
        authority.write_files()
        self.user = create_user("office@example.org", first_name="Änne", last_name="Öst")
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.p12 = self.folder / "client.p12"
        self.certificate, self.passphrase = Certificate.create_for_user(self.p12, self.user, cn="Laptop Öst", days=30)

    def open_p12(self, passphrase, *options):
        return openssl("pkcs12", "-in", self.p12, "-passin", "stdin", "-nodes", *options, input=passphrase)

    def crl(self):
        return x509.load_pem_x509_crl(Path(settings.PKI_DIR, "crl.pem").read_bytes())

    def test_verifies_against_the_authority(self):
        pem = self.folder / "client.pem"
        pem.write_text(self.open_p12(self.passphrase, "-legacy", "-clcerts").stdout)
        self.assertIn("PRIVATE KEY", pem.read_text())
        files = Path(settings.PKI_DIR)
        verdict = openssl("verify", "-CAfile", files / "ca.cert.pem", "-CRLfile", files / "crl.pem", "-crl_check",
                          "-purpose", "sslclient", pem)
        self.assertEqual(verdict.returncode, 0, verdict.stderr)

    def test_file_is_in_old_ciphers_and_private(self):
        self.assertNotEqual(self.open_p12(self.passphrase).returncode, 0)
        self.assertNotEqual(self.open_p12("wrong", "-legacy").returncode, 0)
        self.assertEqual(self.p12.stat().st_mode & 0o777, 0o600)

    def test_name_is_unique(self):
        with transaction.atomic(), self.assertRaises(IntegrityError):
            Certificate.create_for_user(self.folder / "two.p12", self.user, cn="Laptop Öst")
        self.assertFalse((self.folder / "two.p12").exists())

    def test_revocation_rewrites_the_list_in_place(self):
        path = Path(settings.PKI_DIR, "crl.pem")
        inode = path.stat().st_ino
        self.assertIsNone(self.crl().get_revoked_certificate_by_serial_number(self.certificate.serial))
        self.certificate.revoke()
        self.assertIsNotNone(self.crl().get_revoked_certificate_by_serial_number(self.certificate.serial))
        self.assertEqual(path.stat().st_ino, inode)

    def test_authority_stays(self):
        before = Path(settings.PKI_DIR, "ca.cert.pem").read_bytes()
        authority.write_files()
        self.assertEqual(Path(settings.PKI_DIR, "ca.cert.pem").read_bytes(), before)
