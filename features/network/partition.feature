@SIM-04 @CORE-03
Feature: Links that are broken
  A link carries nothing, or only one way; what was begun ends, and what comes later works again.

  Scenario: A telephone that is cut off in a call
    Given alice talks to bob
    When bob is cut off from the PBX
    And 2 minutes pass
    Then alice's call is over
    And there is 1 call record

  Scenario: A cut that nobody needs to notice
    Given alice talks to bob
    When bob is cut off from the PBX
    And 5 seconds pass
    And the network heals
    And 1 second passes
    Then alice and bob hear each other

  Scenario: Who is cut off cannot be called
    Given alice and bob have registered
    When bob is cut off from the PBX
    And alice calls bob
    And 40 seconds pass
    Then bob's telephone does not ring
    And alice is told temporarily unavailable (480)

  Scenario: Answers do not come back
    Given alice has a telephone
    When nothing that the PBX sends reaches alice
    And alice registers
    And 10 seconds pass
    Then alice is not registered
    When the network heals
    And 5 seconds pass
    Then alice is registered

  Scenario: A goodbye that is not heard
    Given alice talks to bob
    When nothing that alice sends reaches the PBX
    And alice hangs up
    And 1 second passes
    Then bob's call is still up
    When the network heals
    And 5 seconds pass
    Then bob's call is over

  @CORE-10
  Scenario: One hears the other and is not heard
    Given alice talks to bob
    When nothing that alice sends reaches the PBX
    And 1 second passes
    Then alice hears bob
    And bob's telephone is silent

  Scenario: Packets that are held back come late
    Given alice talks to bob
    When the packets of bob are held back
    And 3 seconds pass
    Then bob's telephone is silent
    When the packets of bob are let go
    And 1 second passes
    Then alice and bob hear each other

  @SIM-06
  Scenario: The PBX stands still for a while in a call
    Given alice talks to bob
    When the PBX stands still for 3 seconds
    And 1 second passes
    Then alice and bob hear each other

  @SIM-06
  Scenario: The PBX stands still while a telephone registers
    Given alice has a telephone
    When alice registers
    And the PBX stands still for 5 seconds
    And 1 second passes
    Then alice is registered

  @SIM-06 @CORE-01
  Scenario: The PBX stands still while a telephone connects
    Given alice has a telephone that speaks TCP
    When alice registers
    And the PBX stands still for 5 seconds
    And 1 second passes
    Then alice is registered
