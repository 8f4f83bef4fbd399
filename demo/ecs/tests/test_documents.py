import contextlib
import io
import os
import tempfile
from pathlib import Path
from unittest import mock
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import TestCase

from ecs.documents import vault
from ecs.documents.models import Document
from ecs.users.utils import create_user
from tests import vaultcheck

CONTENT = b"%PDF-1.4 " + os.urandom(200_000)


class VaultTest(TestCase):
    def setUp(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.enterContext(mock.patch.dict(settings.STORAGE_VAULT, dir=folder))
        vault.gpg.import_default_keys()
        self.user = create_user("someone@example.org")
        self.document = vault.store("befund.pdf", [CONTENT[:1000], CONTENT[1000:]], self.user)
        self.path = vault.path_of(self.document.uuid)

    def findings(self, **options):
        report = vaultcheck.check(**options)
        return {finding: getattr(report, finding) for finding in ("missing", "orphaned", "altered")}

    def test_comes_back_as_it_went_in(self):
        self.assertEqual(self.document.retrieve_raw().read(), CONTENT)
        self.assertEqual(self.document.size, len(CONTENT))

    def test_is_encrypted_at_its_place(self):
        name = self.document.uuid.hex
        self.assertTrue(str(self.path).endswith(f"/{name[0]}/{name[1]}/{name[2]}/{name[3]}/{name}"))
        self.assertNotIn(b"%PDF", self.path.read_bytes())
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o400)

    def test_is_written_once(self):
        with self.assertRaises(FileExistsError):
            vault.write_once(self.path, lambda fd: os.write(fd, b"other"))
        self.assertEqual(vault.open_document(self.document).read(), CONTENT)
        self.assertEqual([self.path], list(self.path.parent.iterdir()))

    def test_no_row_without_a_file(self):
        with mock.patch.dict(settings.STORAGE_VAULT, encryption_uid="nobody"), self.assertRaises(vault.gpg.GpgError):
            vault.store("lost.pdf", [CONTENT], self.user)
        self.assertEqual(Document.objects.count(), 1)
        self.assertEqual(self.findings(), {"missing": [], "orphaned": [], "altered": []})

    def test_check_finds_what_is_missing(self):
        away = self.path.with_name("away")
        self.path.rename(away)
        self.assertEqual(self.findings(), {"missing": [self.document.uuid.hex], "orphaned": [], "altered": []})
        away.rename(self.path)

    def test_check_finds_what_is_altered(self):
        data = bytearray(self.path.read_bytes())
        data[len(data) // 2] ^= 1
        self.path.chmod(0o600)
        self.path.write_bytes(data)
        self.assertEqual(self.findings()["altered"], [self.document.uuid.hex])
        with self.assertRaises((vault.Altered, vault.gpg.GpgError)):
            vault.open_document(self.document)

    def test_check_finds_what_belongs_to_no_row(self):
        orphan = uuid4()
        vault.write_once(vault.path_of(orphan), lambda fd: os.write(fd, b"half a document"))
        self.assertEqual(self.findings()["orphaned"], [orphan.hex])
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual([vaultcheck.main([]), vaultcheck.main(["--orphans-ok"])], [1, 0])

    def test_a_document_goes_with_its_row(self):
        self.document.delete()
        self.assertFalse(self.path.exists())
        self.assertEqual(self.findings(), {"missing": [], "orphaned": [], "altered": []})

    def test_default_keys_never_join_a_keyring_that_has_its_own(self):
        before = Path(settings.STORAGE_VAULT["gpghome"], "secring.gpg").read_bytes()
        vault.gpg.import_default_keys()
        self.assertEqual(Path(settings.STORAGE_VAULT["gpghome"], "secring.gpg").read_bytes(), before)

    def test_check_by_decrypting_finds_a_changed_record(self):
        Document.objects.update(sha256="0" * 64)
        self.assertEqual(self.findings()["altered"], [])
        self.assertEqual(self.findings(decrypt=True)["altered"], [self.document.uuid.hex])

    def test_upload_and_download_in_the_browser(self):
        login(self.client, self.user)
        self.client.post("/", {"file": SimpleUploadedFile("für dich.pdf", CONTENT)})
        document = Document.objects.first()
        answer = self.client.get(f"/documents/{document.uuid}/")
        self.assertEqual(b"".join(answer.streaming_content), CONTENT)
        self.assertEqual(document.name, "für dich.pdf")

    def test_others_do_not_see_it(self):
        login(self.client, create_user("other@example.org"))
        self.assertEqual(self.client.get(f"/documents/{self.document.uuid}/").status_code, 404)


def login(client, user: User):
    user.set_password("secret")
    user.save()
    answer = client.post("/accounts/login/", {"email": user.email, "password": "secret"}, HTTP_X_REAL_IP="192.0.2.1")
    assert answer.status_code == 302, answer.content
