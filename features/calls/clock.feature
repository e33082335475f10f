@CORE-08
Feature: Routes by the clock
  What a number leads to depends on what o'clock it is in the office.

  Background:
    Given the configuration also says
      """
      [calendar]
      time_zone = "Europe/Berlin"
      holidays = ["04-03", "2026-12-24..2026-12-26"]

      [[routes]]
      name = "office hours"
      to_user = "bob"
      app = "extension"
      when = { days = ["mon-fri"], hours = ["08:00-12:00", "13:00-18:00"], holidays = false }

      [[routes]]
      name = "night watch"
      to_user = "bob"
      app = "tone"
      app_params = { frequency = 1000.0, answer_delay_ms = 0 }
      when = { days = ["fri-sat"], hours = ["22:00-06:00"] }

      [[routes]]
      name = "closed"
      to_user = "bob"
      app = "reject"
      app_params = { status = 480, reason = "Closed" }
      """

  Scenario Outline: It rings: <why>
    Given it is <when> UTC
    And alice and bob have registered
    When alice calls bob
    And 1 second passes
    Then bob's telephone rings

    Examples:
      | when             | why                                         |
      | 2026-03-27 07:00 | the office opens on a Friday at 8 in winter |
      | 2026-03-30 06:00 | and on the next Monday, when it is summer   |
      | 2026-03-30 15:59 | it is the last minute of the day            |

  Scenario Outline: The night watch answers: <why>
    Given it is <when> UTC
    And alice and bob have registered
    When alice calls bob
    And 1 second passes
    Then alice hears 1000 Hz

    Examples:
      | when             | why                                           |
      | 2026-03-27 21:00 | it is Friday at 10                            |
      | 2026-03-28 03:00 | the night of Friday lasts until Saturday at 6 |
      | 2026-03-29 00:30 | it is the night of Saturday                   |

  Scenario Outline: Nobody answers: <why>
    Given it is <when> UTC
    And alice and bob have registered
    When alice calls bob
    And 1 second passes
    Then alice is told closed (480)

    Examples:
      | when             | why                                      |
      | 2026-03-27 06:59 | the office opens in a minute, in winter  |
      | 2026-03-30 05:59 | and in summer                            |
      | 2026-03-30 10:30 | they are at lunch                        |
      | 2026-04-03 07:00 | it is a holiday of each year             |
      | 2026-12-25 09:00 | it is a holiday of this year             |
      | 2026-03-29 20:30 | it is Sunday night                       |

  Scenario: The office closes while a call is up
    Given it is 2026-03-30 15:58 UTC
    And alice, bob and carol have registered
    And bob's telephone answers at once
    When alice calls bob
    And 3 minutes pass
    Then alice and bob hear each other
    When carol calls bob
    And 1 second passes
    Then carol is told closed (480)
