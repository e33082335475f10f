@CORE-07
Feature: Who may call
  Passwords, guesses, and who is let in without.

  Scenario: Who guesses too often is not heard any more
    Given alice and bob have registered
    And the configuration also says
      """
      [auth]
      max_failures = 3
      """
    And mallory has a telephone
    When mallory registers 3 times with a wrong password
    And mallory registers with the right password
    And 5 seconds pass
    Then mallory is not registered
    And alice is registered

  Scenario: After a while one is heard again
    Given the configuration also says
      """
      [auth]
      max_failures = 3
      block_duration_seconds = 60
      """
    And mallory has a telephone
    When mallory registers 3 times with a wrong password
    And 70 seconds pass
    And mallory registers with the right password
    And 1 second passes
    Then mallory is registered

  Scenario: A network that is never blocked
    Given the configuration also says
      """
      [auth]
      max_failures = 3
      allow = ["10.0.0.0/24"]
      """
    And mallory has a telephone
    When mallory registers 3 times with a wrong password
    And mallory registers with the right password
    And 1 second passes
    Then mallory is registered

  Scenario: A password that was changed
    Given alice and bob have registered
    When the password of bob is changed
    And bob calls alice
    And 2 seconds pass
    Then alice's telephone does not ring
    And bob is told proxy authentication required (407)
