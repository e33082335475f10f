@CORE-06
Feature: Registration
  A telephone tells the PBX where it can be reached (RFC 3261, section 10), and proves who it is.

  @real
  Scenario: The right password
    Given alice has a telephone
    When alice registers
    And 1 second passes
    Then alice is registered
    And nothing is left over

  @real
  Scenario: A wrong password
    Given alice has a telephone
    When alice registers with a wrong password
    And 1 second passes
    Then alice is not registered
    And the registration of alice was refused as unauthorized (401)

  Scenario: A registration is refreshed in time
    Given alice has registered
    When 3 hours pass
    Then alice is registered

  @real
  Scenario: Who has unregistered cannot be called
    Given alice and bob have registered
    When bob unregisters
    And 1 second passes
    And alice calls bob
    And 1 second passes
    Then alice is told temporarily unavailable (480)
    And bob's telephone does not ring

  @CORE-03
  Scenario: A lost request is sent again
    Given a network that loses 100 % of the packets
    And alice has a telephone
    When alice registers
    And 2 seconds pass
    Then REGISTER was sent 3 times, copies included

  @CORE-01 @real
  Scenario: Over TCP
    Given alice has a telephone that speaks TCP
    When alice registers
    And 1 second passes
    Then alice is registered

  Scenario: A telephone that was away is found again
    Given alice and bob have registered
    When bob's network is gone
    And 2 minutes pass
    And bob's network is back
    And bob registers
    And 1 second passes
    And alice calls bob
    And 1 second passes
    Then bob's telephone rings

  @CORE-06 @SIM-15
  Scenario: A telephone that does not let go of an old nonce
    Given bob's telephone registers with a nonce that is stale
    And bob has registered
    When 4 hours pass
    Then bob is not registered
    And the registration of bob was refused as unauthorized (401)
