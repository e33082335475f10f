@CORE-10
Feature: Calls that are encrypted
  A telephone and the PBX agree on keys in their descriptions (RFC 4568) and seal each packet with them (RFC 3711). Each leg of a
  call has keys of its own.

  @net(shuffling) @net(far)
  Scenario: Both sides encrypt
    Given calls of alice have to be encrypted
    And calls of bob have to be encrypted
    And alice's telephone encrypts its calls
    And bob's telephone encrypts its calls
    And alice talks to bob
    When alice presses "1 2 3 #"
    And 2 seconds pass
    Then alice and bob hear each other
    And bob has heard the keys "123#"
    And alice's call is encrypted
    And bob's call is encrypted

  @net(jittery)
  Scenario: One side encrypts
    Given calls of alice have to be encrypted
    And alice's telephone encrypts its calls
    And alice talks to bob
    Then alice and bob hear each other
    And alice's call is encrypted
    And bob's call is not encrypted

  Scenario: Who may encrypt does so with those who can
    Given calls of bob may be encrypted
    And bob's telephone can encrypt its calls
    And alice talks to bob
    Then alice and bob hear each other
    And bob's call is encrypted
    And alice's call is not encrypted

  Scenario: Over a network that loses packets and brings some twice
    Given calls of alice have to be encrypted
    And alice's telephone encrypts its calls
    And a network that loses 10 % of the packets
    And alice talks to bob
    When 10 seconds pass
    Then alice and bob hear each other
    And alice's call is encrypted

  @net(lossy)
  Scenario: A conference and a recording hold what is sealed on the way
    Given calls of alice have to be encrypted
    And alice's telephone encrypts its calls
    And a recorded conference at "8000"
    And alice and bob have registered
    When alice calls "8000"
    And bob calls "8000"
    And 4 seconds pass
    Then alice and bob hear each other
    And alice's call is encrypted
    When alice hangs up
    And bob hangs up
    And 1 second passes
    Then alice is heard in the recording
    And bob is heard in the recording

  Scenario: Hold and resume keep the keys
    Given calls of bob have to be encrypted
    And bob's telephone encrypts its calls
    And alice talks to bob
    When alice puts bob on hold
    And 1 second passes
    And alice takes bob off hold
    And 1 second passes
    Then alice and bob hear each other
    And bob's call is encrypted

  Scenario: Who has to encrypt and does not is refused
    Given calls of alice have to be encrypted
    And alice and bob have registered
    When alice calls bob
    And 2 seconds pass
    Then alice is told not acceptable here (488)

  Scenario: Who is called, has to encrypt and does not is not talked to
    Given calls of bob have to be encrypted
    And alice and bob have registered
    And bob's telephone answers at once
    When alice calls bob
    And 2 seconds pass
    Then alice is told not acceptable here (488)

  Scenario: Encryption that was not configured is refused
    Given alice's telephone encrypts its calls
    And alice and bob have registered
    When alice calls bob
    And 2 seconds pass
    Then alice is told not acceptable here (488)
