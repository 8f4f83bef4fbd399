"""Compare our grammar of calendar events with systemd's own."""

import pytest

from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.env.oncalendar import oncalendar

# The examples of systemd.time(7), and cases on either side of each rule.
CALENDARS = """
*-*-* 06:30:00|daily|DAILY|weekly|bi-annually|semi-annually|annually|quarterly|every day|yesterday
Sat,Thu,Mon..Wed,Sat..Sun|Mon,Sun 12-*-* 2,1:23|Wed *-1|Wed..Wed,Wed *-1|Wed, 17:48|Wed..Sat,Tue 12-10-15 1:2:3
*-*-7 0:0:0|10-15|monday *-12-* 17:00|Mon,Fri *-*-3,1,2 *:30:45|12,14,13,12:20,10,30|12..14:10,20,30
mon,fri *-1/2-1,3 *:30:45|03-05 08:05:40|08:05:40|05:40|Sat,Sun 12-05 08:05:40|2003-03-05 05:40|hourly
05:40:23.4200004/3.1700005|2003-02..04-05|2003-03-05 05:40 UTC|*-*~03|*-02~7/1|*-*~28|*-*~29|*-*~1/1|*-*~5..7
Mon|mon,tue|Mon..Fri|Mon-Fri|Fri..Mon|Mon..Tue..Wed|Mon,,Tue|Mon..|Tues 5:00|M 5:00|Mon Tue|Mon UTC|Mon @5
24:00|23:59:59|23:59:60|23:60|10|10:00|10:00:00.5|+5:00|-1:00|1e1:00|10:00:*/5|*:*:*|*:0/15|*:0/59|*:0/60
*-13-*|*-0-*|*-*-0|*-*-31|*-*-32|*-*-1/30|*-*-1/31|*-*-*/7|*-*-*,1|*,1:00|,1:00|1,:00|2000..1990-1-1
1969-1-1|1970-1-1|2199-1-1|2200-1-1|69-1-1|70-1-1|20-01-01|*-*-1..10/9|0/23:0|0/24:00|0:0:0/59.9|*:0/0
10:00 UTC|10:00 utc|10:00 Europe/Vienna|10:00 Nowhere/City|daily Europe/Vienna|quarterly 5:00|Mon daily
@1395716396|@0|@-5|06:30:00 daily|*-*-*T06:30:00|*-*-* 06:30:00;id|*-*-*  06:30|Mon 10:00 Europe/Vienna
"""


@pytest.mark.parametrize("text", [text for line in CALENDARS.split("\n") for text in line.split("|") if text])
def test_it_is_a_calendar_where_systemd_says_so(text: str) -> None:
    judged = SystemRunner().run(["systemd-analyze", "calendar", "--", text], timeout=30, ok=(0, 1)).returncode == 0
    try:
        oncalendar(text)
        ours = True
    except ValueError:
        ours = False
    assert ours == judged
