"""Groups, and the users for training and tests."""
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User

from ecs.users.models import UserProfile
from ecs.users.utils import create_user

GROUPS = (
    "EC-Executive", "EC-Office", "EC-Signing", "Board Member", "Resident Board Member", "Omniscient Board Member",
    "Specialist", "External Reviewer", "GCP Reviewer", "Insurance Reviewer", "Statistic Reviewer",
)
ROLES = {
    "presenter": None, "sponsor": None, "investigator": None, "reviewer": "External Reviewer", "board": "Board Member",
    "specialist": "Specialist", "office": "EC-Office", "executive": "EC-Executive",
}
INTERNAL = {"EC-Office", "EC-Executive", "EC-Signing"}
USERS_PER_ROLE = 6
PASSWORD = "test"  # publicly known, so a production site deactivates these users


def create_groups() -> int:
    return sum(Group.objects.get_or_create(name=name)[1] for name in GROUPS)


def create_testusers() -> int:
    """Create missing test users, and return how many; existing ones stay unchanged, even deactivated ones."""
    wanted = {f"{role}{n}@example.org": group for role, group in ROLES.items() for n in range(1, USERS_PER_ROLE + 1)}
    present = set(User.objects.filter(email__in=wanted).values_list("email", flat=True))
    missing = {email: group for email, group in wanted.items() if email not in present}
    password = make_password(PASSWORD) if missing else ""
    for email, group in missing.items():
        create_testuser(email, group, password)
    return len(missing)


def create_testuser(email: str, group: str | None, password: str) -> None:
    role, number = email.partition("@")[0][:-1], email.partition("@")[0][-1]
    user = create_user(email, password=password, first_name=role.title(), last_name=f"Test {number}")
    if group:
        user.groups.add(Group.objects.get(name=group))
    UserProfile.objects.filter(user=user).update(is_testuser=True, is_internal=group in INTERNAL, gender="f")
