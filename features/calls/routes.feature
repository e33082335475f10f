@CORE-08
Feature: Routes
  What a number leads to: the first route that fits is taken.

  Background:
    Given alice and bob have registered

  Scenario: A number of its own for somebody
    Given the configuration also says
      """
      [[routes]]
      name = "workshop"
      to_user = "+4930123456"
      app = "extension"
      app_params = { extension = "bob" }
      """
    When alice calls "+4930123456"
    And 1 second passes
    Then bob's telephone rings

  Scenario: Numbers that nobody may dial
    Given the configuration also says
      """
      [[routes]]
      name = "no premium numbers"
      to_user = "0900*"
      app = "reject"
      app_params = { status = 403, reason = "Not from here" }
      """
    When alice calls "0900123"
    And 1 second passes
    Then alice is told not from here (403)

  Scenario: The first route that fits is taken
    Given the configuration also says
      """
      [[routes]]
      name = "the boss"
      to_user = "77"
      app = "extension"
      app_params = { extension = "bob" }

      [[routes]]
      name = "everybody else in the seventies"
      to_user = "7?"
      app = "reject"
      app_params = { status = 404 }
      """
    When alice calls "77"
    And 1 second passes
    Then bob's telephone rings

  Scenario: A tone of another pitch
    Given the configuration also says
      """
      [[routes]]
      name = "kilohertz"
      to_user = "1000"
      app = "tone"
      app_params = { frequency = 1000.0, answer_delay_ms = 0, duration_seconds = 5 }
      """
    When alice calls "1000"
    And 1 second passes
    Then alice hears 1000 Hz
    When 5 seconds pass
    Then alice's call lasted 5 seconds

  @CORE-07
  Scenario: A route that is open to a network
    Given the configuration also says
      """
      [[routes]]
      name = "door"
      to_user = "door"
      from_network = "10.0.0.4"
      app = "extension"
      app_params = { extension = "bob" }
      """
    And mallory has a telephone
    When mallory registers with a wrong password
    And mallory calls "door"
    And 1 second passes
    Then bob's telephone rings

  Scenario: The way out changes the number
    Given south has a telephone
    And south's telephone answers at once
    And the configuration also says
      """
      [[trunks]]
      name = "abroad"
      targets = [{ host = "10.0.0.4" }]

      [[routes]]
      name = "abroad"
      to_user = "0[1-9]*"
      app = "trunk"
      app_params = { trunks = ["abroad"], strip = 1, prefix = "+49" }
      """
    When alice calls "030123"
    And 1 second passes
    Then alice and south hear each other
    And "INVITE sip:+4930123@10.0.0.4" was sent once

  @CORE-12
  Scenario: A route that is added while people talk
    Given carol talks to dave
    When the configuration also says
      """
      [[routes]]
      name = "workshop"
      to_user = "500"
      app = "extension"
      app_params = { extension = "bob" }
      """
    And alice calls "500"
    And 1 second passes
    Then bob's telephone rings
    And carol and dave hear each other
