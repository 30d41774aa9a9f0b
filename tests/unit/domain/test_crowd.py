from headpond.domain.crowd import ASIDE, PATIENCE_S, Crowd


def test_an_engine_without_others_is_used_at_once() -> None:
    crowd = Crowd(bound_s=600.0)
    assert crowd.gives_way(0.0, crowded=False)
    assert not crowd.aside(0.0)


def test_suspects_are_set_aside_for_nine_times_as_long_as_they_held_up() -> None:
    crowd = Crowd(bound_s=600.0)
    crowd.holds_up(0.0)
    crowd.holds_up(5.0)
    assert not crowd.gives_way(10.0, crowded=True)
    assert not crowd.aside(10.0)
    now = 10.0 + PATIENCE_S
    assert not crowd.gives_way(now, crowded=True)
    assert crowd.aside(now + ASIDE * now - 0.1)
    assert not crowd.aside(now + ASIDE * now)


def test_suspects_get_their_turn_at_the_bound() -> None:
    crowd = Crowd(bound_s=60.0)
    crowd.holds_up(0.0)
    now = 0.0
    while not crowd.gives_way(now, crowded=True):
        now += 0.5
        while crowd.aside(now):
            now += 0.5
    assert 60.0 < now <= 61.0
