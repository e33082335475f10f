@SIM-15
Feature: Telephones that misbehave
  What others notice of it: nothing, or that a call ends.

  Background:
    Given carol talks to dave
    And alice and bob have registered
    And bob's telephone answers at once

  @CORE-04
  Scenario: Two answers from one telephone
    Given bob's telephone answers twice, as two
    When alice calls bob
    And 1 second passes
    Then alice and bob hear each other
    When alice hangs up
    And 1 second passes
    Then bob's call is over
    And there is 1 call record

  @CORE-03
  Scenario: Yes and no at once
    Given bob's telephone answers and refuses at once
    When alice calls bob
    And 1 second passes
    Then alice and bob hear each other
    And carol and dave hear each other

  @CORE-05
  Scenario: An answer that has nothing to do with the question
    Given bob's telephone answers with a codec that nobody offered
    When alice calls bob
    And 2 seconds pass
    Then alice's call is over
    And bob's call is over
    And carol and dave hear each other

  @CORE-05
  Scenario: An answer without a stream
    Given bob's telephone answers without a stream
    When alice calls bob
    And 2 seconds pass
    Then alice's call is over
    And bob's call is over

  @CORE-03
  Scenario: A caller who never acknowledges
    Given alice's telephone never acknowledges an answer
    When alice calls bob
    And 35 seconds pass
    Then bob's call is over
    And alice's call is over
    And carol and dave hear each other

  @CORE-03
  Scenario Outline: A caller whose telephone <wrongly>
    Given alice's telephone <wrongly>
    When alice calls bob
    And 35 seconds pass
    Then bob's call is over
    And alice's call is over

    Examples:
      | wrongly                          |
      | acknowledges with a wrong number |
      | acknowledges with a wrong tag    |

  @CORE-03
  Scenario: A caller who acknowledges with another branch
    Given alice's telephone acknowledges with another branch
    When alice calls bob
    And 35 seconds pass
    Then alice and bob hear each other

  @CORE-03
  Scenario: A caller who does not say twice that he has heard it
    Given a network that loses 20 % of the packets
    And alice's telephone acknowledges a repeated answer only once
    When alice calls bob
    And 40 seconds pass
    And the network heals
    And 1 second passes
    Then carol and dave hear each other

  @CORE-04
  Scenario: A callee who hangs up where he should refuse
    Given bob's telephone is never answered
    And bob's telephone hangs up where it should refuse
    When alice calls bob
    And 1 second passes
    And bob hangs up
    And 2 minutes pass
    Then alice's call is over
    And carol and dave hear each other

  @CORE-04
  Scenario: A callee who hangs up before anybody can know
    Given bob's telephone hangs up before its answer is acknowledged
    When alice calls bob
    And 2 seconds pass
    Then alice's call is over
    And there is 1 call record

  @CORE-04
  Scenario: The end of a call that comes too late by its number
    Given alice's telephone counts its requests backwards
    When alice calls bob
    And 1 second passes
    And alice hangs up
    And 1 second passes
    Then the answer was server internal error (500)
    And bob's call is still up
    When bob hangs up
    And 1 second passes
    Then bob's call is over
    And there is 1 call record

  @CORE-04
  Scenario: The end of a call with a number too far
    Given bob's telephone skips numbers of its requests
    When alice calls bob
    And 1 second passes
    And bob hangs up
    And 1 second passes
    Then alice's call is over

  @CORE-02
  Scenario: A caller who promises more than he sends
    Given alice's telephone promises more bytes than it sends
    When alice calls bob
    And 1 second passes
    Then bob's telephone does not ring
    And alice is told bad request (400)

  @CORE-02
  Scenario: A caller who promises less than he sends
    Given alice's telephone promises fewer bytes than it sends
    When alice calls bob
    And 1 second passes
    Then alice and bob hear each other

  @CORE-03
  Scenario: Requests that come again after their answer
    Given alice's telephone repeats its requests after the answer
    When alice calls bob
    And 1 second passes
    Then alice and bob hear each other
    When alice hangs up
    And 1 second passes
    Then bob's call is over
    And there is 1 call record

  @CORE-04
  Scenario: A telephone that is somebody else with every word
    Given bob's telephone keeps changing its tag
    When alice calls bob
    And 40 seconds pass
    And alice hangs up
    And 1 second passes
    Then alice's call is over
    And carol and dave hear each other

  @CORE-06
  Scenario: A telephone that calls itself by a name
    Given bob's telephone calls itself by a name that nobody can resolve
    And alice's telephone answers at once
    When bob calls alice
    And 1 second passes
    Then alice and bob hear each other
    When alice hangs up
    And 40 seconds pass
    Then alice's call is over

  @CORE-03
  Scenario Outline: A caller gives up, and the telephone <does it wrong>
    Given bob's telephone is never answered
    And bob's telephone <does it wrong>
    When alice calls bob
    And 1 second passes
    And alice gives up
    And 40 seconds pass
    Then alice's call is over
    And the call record says cancelled
    And carol and dave hear each other

    Examples:
      | does it wrong                                          |
      | ignores that a caller gives up                         |
      | hears that a caller gives up and never ends the call   |
      | answers when a caller gives up                         |

  @CORE-05
  Scenario: A telephone that never answers a change of the call
    Given bob's telephone never answers a change of the call
    When alice calls bob
    And 1 second passes
    And alice puts bob on hold
    And 70 seconds pass
    And alice hangs up
    And 2 seconds pass
    Then alice's call is over
    And carol and dave hear each other

  @CORE-10
  Scenario: A stream that becomes another one
    Given alice's telephone changes its stream in mid-call
    When alice calls bob
    And 5 seconds pass
    Then alice and bob hear each other

  @CORE-10
  Scenario: A voice from another port
    Given alice's telephone sends its voice from another port
    When alice calls bob
    And 2 seconds pass
    Then bob hears alice
    And carol and dave hear each other

  @CORE-10
  Scenario: A voice before the answer
    Given bob's telephone answers after 3 seconds
    And bob's telephone sends its voice before the answer
    When alice calls bob
    And 2 seconds pass
    Then alice's telephone is silent
    When 2 seconds pass
    Then alice and bob hear each other

  @CORE-10
  Scenario: A voice that does not stop
    Given alice's telephone keeps talking after the call
    When alice calls bob
    And 1 second passes
    And alice hangs up
    And 1 second passes
    Then bob's call is over
    And carol and dave hear each other

  @CORE-10
  Scenario: A clock that is too fast
    Given alice's telephone has a clock that runs 1 % too fast
    When alice calls bob
    And 30 seconds pass
    Then alice and bob hear each other

  @CORE-06
  Scenario: A nonce count that was used before
    Given bob's telephone registers with the same nonce count again
    When bob registers
    And 1 second passes
    And bob registers
    And 1 second passes
    Then bob is registered

  @CORE-13
  Scenario: A telephone that asks and asks
    When bob asks 200 times at once whether alice is there
    And 1 second passes
    Then carol and dave hear each other
    When alice calls the tone
    And 3 seconds pass
    Then alice hears 440 Hz

  @CORE-01
  Scenario: A message that takes its time
    When bob sends a message over TCP, a byte every 2 seconds
    And 40 seconds pass
    Then carol and dave hear each other
    When alice calls bob
    And 1 second passes
    Then alice and bob hear each other
