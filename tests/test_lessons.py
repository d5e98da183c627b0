"""What hurt the predecessor must not come back: each lesson is kept by a test marked for it."""

import re
from pathlib import Path

import pytest

LESSONS = {
    1: "A client was paid twice: an answer that wasn't JSON was taken for an error.",
    2: "The row was written only after M-Pesa accepted.",
    3: "Callbacks were answered 200 and thrown away.",
    4: "A status query's ResultCode 0 was read as paid.",
    5: "Insufficient funds stayed pending for ever; late callbacks overwrote final states.",
    6: "The retry engine minted a new key for each retry.",
    7: "The database refused statuses that the code used, and the code ignored it.",
    8: "Loans outside limits got a 200 and were forgotten.",
    9: "The webhook had no authentication and guessed the partner.",
    10: "A redirect of /x/ to /x lost the POST's body.",
    11: "Hooks didn't arrive, and nobody noticed.",
    12: "Mifos was told disbursed when M-Pesa had only accepted.",
    13: "Principal was paid instead of the net sum.",
    14: "The connection test always showed green and switched the integration on.",
    15: "Plaintext credentials; a default passphrase; secrets sent to anyone.",
    16: "Routes had no guard.",
    17: "Sweeps hung on an outside cron.",
    18: "UTC dates on Nairobi days; two limits; 0 meaning unlimited.",
    19: "Phones in 07… or +254… form were refused late.",
    20: "A phone number could be changed between approval and payment.",
    21: "Duplicate heuristics blocked honest payments, so they were switched off.",
    22: "Settings were stored and never read.",
}
MARK = re.compile(r"mark\.lesson\((\d+)\)")
KEPT = {
    int(number)
    for path in Path(__file__).parent.rglob("test_*.py")
    for number in MARK.findall(path.read_text())
}


@pytest.mark.parametrize("number", LESSONS, ids=lambda n: f"{n}: {LESSONS[n]}")
def test_a_lesson_has_its_test(number):
    assert number in KEPT
