@CORE-04 @CORE-09 @CORE-10
Feature: Two people talk
  A telephone calls another one through the PBX; both hear each other until one of them hangs up.

  Scenario: They hear each other
    Given alice and bob have registered
    When alice calls bob
    And 2 seconds pass
    Then bob's telephone rings
    When bob answers
    And 1 second passes
    Then alice and bob hear each other
    And alice is told ringing (180)
