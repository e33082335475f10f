@CORE-09
Feature: Calls go on to somebody else
  An extension forwards when it is busy, or when nobody answers; what its telephones say together decides which it is.

  Background:
    Given alice, bob and carol have registered

  Scenario Outline: bob says <said>, and calls go to carol when busy: <seen>
    Given calls to bob go to carol when busy
    And bob's telephone refuses with <said>
    When alice calls bob
    And 1 second passes
    Then carol's telephone <seen>

    Examples:
      | said                          | seen          |
      | busy here (486)               | rings         |
      | busy everywhere (600)         | rings         |
      | temporarily unavailable (480) | does not ring |
      | decline (603)                 | does not ring |

  Scenario Outline: bob says <said>, and calls that are not answered go to carol: <seen>
    Given calls to bob that are not answered go to carol
    And bob's telephone refuses with <said>
    When alice calls bob
    And 1 second passes
    Then carol's telephone <seen>

    Examples:
      | said                          | seen          |
      | temporarily unavailable (480) | rings         |
      | request timeout (408)         | rings         |
      | busy here (486)               | does not ring |
      | decline (603)                 | does not ring |
      | not found (404)               | does not ring |

  Scenario Outline: One telephone of bob says <one>, the other <other>: bob is busy
    Given calls to bob go to carol when busy
    And mobile is another telephone of bob
    And mobile has registered
    And bob's telephone refuses with <one>
    And mobile's telephone refuses with <other>
    When alice calls bob
    And 1 second passes
    Then carol's telephone rings

    Examples:
      | one                           | other                         |
      | busy here (486)               | temporarily unavailable (480) |
      | temporarily unavailable (480) | busy here (486)               |

  Scenario: One telephone is busy, the other rings and rings
    Given calls to bob go to carol when busy
    And calls to bob that are not answered go to dave
    And dave has registered
    And mobile is another telephone of bob
    And mobile has registered
    And bob's telephone refuses with busy here (486)
    And mobile's telephone is never answered
    When alice calls bob
    And 32 seconds pass
    Then dave's telephone rings
    And carol's telephone does not ring

  Scenario: Who is forwarded to learns who has forwarded
    Given calls to bob go to carol when busy
    And bob's telephone refuses with busy here (486)
    When alice calls bob
    And 1 second passes
    Then INVITE to carol says "Diversion: <sip:bob@pbx.example>;reason=user-busy"
    And SIP/2.0 to alice says "181 Call Is Being Forwarded"

  Scenario: Two who forward to each other
    Given calls to bob go to carol when busy
    And calls to carol go to bob when busy
    And bob's telephone refuses with busy here (486)
    And carol's telephone refuses with busy here (486)
    When alice calls bob
    And 1 second passes
    Then alice is told loop detected (482)
    And there is 1 call record
