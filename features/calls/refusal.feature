@CORE-09
Feature: What a caller is told when a call comes to nothing
  What a callee says about itself is passed on; what it says about our request is not (docs/legs.md).

  Scenario Outline: A telephone says <said>, the caller is told <told>
    Given alice and bob have registered
    And bob's telephone refuses with <said>
    When alice calls bob
    And 1 second passes
    Then alice is told <told>
    And there is 1 call record

    Examples:
      | said                            | told                          |
      | busy here (486)                 | busy here (486)               |
      | busy everywhere (600)           | busy everywhere (600)         |
      | decline (603)                   | decline (603)                 |
      | unwanted (607)                  | unwanted (607)                |
      | forbidden (403)                 | forbidden (403)               |
      | temporarily unavailable (480)   | temporarily unavailable (480) |
      | request timeout (408)           | temporarily unavailable (480) |
      | request terminated (487)        | temporarily unavailable (480) |
      | not acceptable here (488)       | not acceptable here (488)     |
      | not acceptable (606)            | not acceptable here (488)     |
      | not found (404)                 | temporarily unavailable (480) |
      | does not exist anywhere (604)   | temporarily unavailable (480) |
      | address incomplete (484)        | temporarily unavailable (480) |
      | use proxy (305)                 | temporarily unavailable (480) |
      | unauthorized (401)              | temporarily unavailable (480) |
      | conflict (409)                  | temporarily unavailable (480) |
      | service unavailable (503)       | temporarily unavailable (480) |

  Scenario Outline: A trunk says <said>, the caller is told <told>
    Given north is a trunk for numbers that begin with 0
    And the trunk north refuses with <said>
    And alice has registered
    When alice calls "0123"
    And 2 seconds pass
    Then alice is told <told>
    And there is 1 call record

    Examples:
      | said | told                          |
      | 404  | not found (404)               |
      | 484  | address incomplete (484)      |
      | 604  | does not exist anywhere (604) |
      | 603  | decline (603)                 |
      | 408  | temporarily unavailable (480) |
      | 302  | bad gateway (502)             |
      | 407  | bad gateway (502)             |
      | 409  | bad gateway (502)             |
      | 500  | bad gateway (502)             |

  Scenario Outline: Of two telephones one says <one>, the other <other>
    Given alice and bob have registered
    And mobile is another telephone of bob
    And mobile has registered
    And bob's telephone refuses with <one>
    And mobile's telephone refuses with <other>
    When alice calls bob
    And 1 second passes
    Then alice is told <told>

    Examples:
      | one                           | other                         | told                      |
      | busy here (486)               | temporarily unavailable (480) | busy here (486)           |
      | temporarily unavailable (480) | decline (603)                 | decline (603)             |
      | service unavailable (503)     | forbidden (403)               | forbidden (403)           |
      | not acceptable here (488)     | not found (404)               | not acceptable here (488) |
      | busy here (486)               | not acceptable here (488)     | busy here (486)           |

  Scenario: Somebody who declines declines for all his telephones
    Given alice and bob have registered
    And mobile is another telephone of bob
    And mobile has registered
    And bob's telephone refuses with decline (603)
    When alice calls bob
    And 1 second passes
    Then alice is told decline (603)
    And mobile's telephone does not ring

  Scenario: Somebody who declines does not decline for others
    Given alice, bob and carol have registered
    And calls to "55" go where the dispatcher says
    And the dispatcher says
      """
      { "action": "route", "targets": ["bob", "carol"], "strategy": "all" }
      """
    And bob's telephone refuses with decline (603)
    When alice calls "55"
    And 1 second passes
    Then carol's telephone rings
    When carol answers
    And 1 second passes
    Then alice and carol hear each other
