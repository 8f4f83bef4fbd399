from pathlib import Path

from lab.qemu import Drive, Kernel, plan_qemu

CONSOLE = Path("/logs/console.log")


def plan(*drives: Drive, kernel: Kernel | None = None, console: Path = CONSOLE) -> str:
    return " ".join(plan_qemu(drives, kernel=kernel, console=console, port=("port", 7), credentials={}))


def test_it_is_emulated_and_ends_with_who_started_it() -> None:
    words = plan()
    assert words.startswith("setpriv --pdeathsig KILL -- qemu-system-x86_64 ")
    assert "-accel tcg" in words
    assert "kvm" not in words


def test_writes_are_kept_only_where_that_is_asked_for() -> None:
    words = plan(Drive(Path("/a.img")), Drive(Path("/b.img"), kept=True))
    assert "file=/a.img,format=raw,if=none,id=drive0,snapshot=on -device virtio-blk-pci,drive=drive0" in words
    assert "file=/b.img,format=raw,if=none,id=drive1,snapshot=off -device virtio-blk-pci,drive=drive1" in words


def test_a_disc_is_read_only() -> None:
    words = plan(Drive(Path("/seed.iso"), cdrom=True))
    assert "file=/seed.iso,format=raw,if=none,id=drive0,readonly=on,media=cdrom -device scsi-cd,drive=drive0" in words


def test_commas_in_names_are_no_options() -> None:
    words = plan(Drive(Path("/a,readonly=on.img")), console=Path("/b,c.log"))
    assert "file=/a,,readonly=on.img," in words
    assert "file:/b,,c.log" in words


def test_without_a_kernel_the_firmware_boots_from_the_drives() -> None:
    assert "-kernel" not in plan()
    words = plan(kernel=Kernel(Path("/vmlinuz"), Path("/initrd"), "root=/dev/vda rw quiet"))
    assert "-kernel /vmlinuz -initrd /initrd -append console=ttyS0" in words
    assert words.endswith("root=/dev/vda rw quiet")


def test_credentials_keep_every_character() -> None:
    words = plan_qemu([], kernel=None, console=CONSOLE, port=("port", 7), credentials={"name": "a,b=c\nü"})
    assert "type=11,value=io.systemd.credential.binary:name=YSxiPWMKw7w=" in words
