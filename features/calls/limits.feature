@CORE-09
Feature: Limits
  What is over a limit is refused; what is within it goes on.

  Scenario: An extension has one call at a time
    Given alice, bob and carol have registered
    And bob takes 1 call at a time
    And alice talks to bob
    When carol calls bob
    And 1 second passes
    Then carol is told busy (486)
    And alice and bob hear each other

  Scenario: A call has lasted long enough
    Given the configuration also says
      """
      [limits]
      call_duration_seconds = 20
      """
    And alice talks to bob
    When 25 seconds pass
    Then alice's call is over
    And bob's call is over
    And the call record says 20 seconds

  @CORE-06
  Scenario: A third telephone where two are allowed
    Given the configuration also says
      """
      [limits]
      contacts_per_aor = 2
      """
    And bob has registered
    And mobile is another telephone of bob
    And mobile has registered
    And tablet is another telephone of bob
    When tablet registers
    And 1 second passes
    Then the registration of tablet was refused as forbidden (403)

  @CORE-06
  Scenario: A registration that is too short is made longer
    Given bob has a telephone that registers for 10 seconds
    When bob registers
    And 2 seconds pass
    Then the answer was interval too brief (423)
    And bob is registered

  @CORE-06
  Scenario: Who does not renew is forgotten
    Given alice has registered
    And bob has a telephone that registers for 90 seconds
    And bob has registered
    When bob's network is gone
    And 2 minutes pass
    And alice calls bob
    And 1 second passes
    Then alice is told temporarily unavailable (480)

  Scenario: A trunk has one line, and it is taken
    Given a trunk for numbers that begin with 0, to north, then to south
    And the trunk has 1 line
    And north's telephone answers at once
    And alice and bob have registered
    When alice calls "0123"
    And 1 second passes
    And bob calls "0456"
    And 1 second passes
    Then bob is told service unavailable (503)
    And SIP/2.0 to bob says "Retry-After: 10"
    And alice and north hear each other

  Scenario: Who calls over a trunk takes a line of it too
    Given north has a telephone
    And the configuration also says
      """
      [[trunks]]
      name = "north"
      targets = [{ host = "10.0.0.2" }]
      accept_from = ["10.0.0.2"]
      max_calls = 1

      [[routes]]
      name = "out"
      to_user = "0*"
      app = "trunk"
      app_params = { trunks = ["north"] }
      """
    And alice and bob have registered
    And bob's telephone answers at once
    When north calls bob
    And 1 second passes
    Then bob and north hear each other
    When alice calls "0123"
    And 1 second passes
    Then alice is told service unavailable (503)
    When north hangs up
    And 1 second passes
    And north calls bob
    And 1 second passes
    Then bob and north hear each other

  Scenario: As many calls as the PBX may have
    Given the configuration also says
      """
      [limits]
      calls = 1
      """
    And alice talks to bob
    And carol and dave have registered
    When carol calls dave
    And 1 second passes
    Then carol is told service unavailable (503)
    And alice and bob hear each other
