from openrembg.server.processes.member import Member


def test_processes_that_end_soon_come_back_later_and_later() -> None:
    member = Member(0)
    member._born = float("inf")
    rests = []
    for _ in range(7):
        member.rest()
        rests.append(member.rest_s)
    assert rests == [1, 2, 4, 8, 16, 30, 30]


def test_a_process_that_lived_long_is_replaced_at_once() -> None:
    member = Member(0)
    member._born = float("inf")
    member.rest()
    member._born = float("-inf")
    member.rest()
    assert member.rest_s == 0


def test_a_process_that_says_nothing_new_in_a_minute_hangs() -> None:
    member = Member(0)
    looks = [member.has_gone_silent(5.0) for _ in range(14)]
    assert looks == [False] * 12 + [True, False]


def test_a_word_now_and_then_is_enough_to_live() -> None:
    member = Member(0)
    words = [word for word in (1.0, 2.0, 3.0) for _ in range(12)]
    assert not any(map(member.has_gone_silent, words))


def test_a_process_that_is_still_starting_may_be_silent() -> None:
    member = Member(0)
    assert not any(member.has_gone_silent(0.0) for _ in range(100))
