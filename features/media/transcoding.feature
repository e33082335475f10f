@CORE-10
Feature: Telephones that have no codec in common
  The PBX turns one codec into the other. Where both have one in common it passes the sound on as it is (RFC 3264).

  @net(jittery) @net(shuffling)
  Scenario Outline: <caller> calls <callee>
    Given alice's telephone knows only <caller>
    And bob's telephone knows only <callee>
    And alice talks to bob
    Then alice's call is in <caller>
    And bob's call is in <callee>
    And alice and bob hear each other

    Examples:
      | caller | callee |
      | PCMA   | PCMU   |
      | PCMU   | PCMA   |

  @net(lossy) @net(jittery)
  Scenario Outline: <caller> calls <callee>, where one has a wide band
    Given the PBX turns PCMU, PCMA and G722 into each other
    And alice's telephone knows only <caller>
    And bob's telephone knows only <callee>
    And alice talks to bob
    When 1 second passes
    Then alice's call is in <caller>
    And bob's call is in <callee>
    And alice and bob hear each other

    Examples:
      | caller | callee |
      | G722   | PCMU   |
      | PCMA   | G722   |
      | G722   | G722   |

  Scenario: A wide band over a network that loses packets
    Given the PBX turns PCMU, PCMA and G722 into each other
    And alice's telephone knows only G722
    And bob's telephone knows only PCMA
    And a network that loses 5 % of the packets
    And alice talks to bob
    When 5 seconds pass
    Then alice and bob hear each other

  @net(lossy)
  Scenario: In a conference each hears the others in a codec of its own
    Given the PBX turns PCMU, PCMA and G722 into each other
    And a conference at "8000"
    And alice's telephone knows only G722
    And bob's telephone knows only PCMA
    And alice, bob and carol have registered
    When alice calls "8000"
    And bob calls "8000"
    And carol calls "8000"
    And 2 seconds pass
    Then alice hears bob among others
    And alice hears carol among others
    And carol hears alice among others
    And alice does not hear alice

  Scenario: A tone stays what it is
    Given alice's telephone knows only PCMA
    And bob's telephone knows only PCMU
    And alice talks to bob
    When alice says, one after the other
      | for      | tone    |
      | 1 second | 600 Hz  |
      | 1 second | nothing |
      | 1 second | 900 Hz  |
    And 700 ms pass
    Then bob hears 600 Hz
    When 1 second passes
    Then bob's telephone is silent
    When 1 second passes
    Then bob hears 900 Hz

  Scenario: Over a network that loses packets
    Given alice's telephone knows only PCMA
    And bob's telephone knows only PCMU
    And a network that loses 10 % of the packets
    And alice talks to bob
    When 5 seconds pass
    Then alice and bob hear each other

  Scenario: The other side waits, and no longer
    Given alice's telephone knows only PCMA
    And bob's telephone knows only PCMU
    And alice talks to bob
    When alice puts bob on hold
    And 1 second passes
    Then bob's telephone is silent
    When alice takes bob off hold
    And 1 second passes
    Then alice and bob hear each other

  Scenario: Who goes on in another codec
    Given bob's telephone knows only PCMU
    And alice talks to bob
    When alice goes on in PCMA
    And 1 second passes
    Then alice's call is in PCMA
    And bob's call is in PCMU
    And alice and bob hear each other

  Scenario: A call without an offer
    Given alice calls without an offer
    And alice's telephone knows only PCMA
    And bob's telephone knows only PCMU
    And alice talks to bob
    Then alice and bob hear each other

  Scenario: A codec that nobody here can make
    Given alice's telephone knows only G729
    And bob's telephone knows only PCMU
    And alice and bob have registered
    And bob's telephone answers at once
    When alice calls bob
    And 2 seconds pass
    Then alice is told not acceptable here (488)
