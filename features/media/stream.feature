@CORE-10
Feature: What comes of a stream on its way
  How long it may stay away, and what is written down of its quality.

  Scenario: RTP that stays away ends the call, with its reason
    Given the PBX waits 10 seconds for RTP
    And alice's microphone is off
    And alice talks to bob
    When 15 seconds pass
    Then bob's call is over
    And the call record says that the pbx hung up
    And the call record gives "no RTP came any more" as the reason

  @net(lossy)
  Scenario: Who is on hold says nothing for as long as it takes
    Given the PBX waits 10 seconds for RTP
    And alice talks to bob
    When alice puts bob on hold
    And 30 seconds pass
    And alice takes bob off hold
    And 1 second passes
    Then alice and bob hear each other

  Scenario: What is written down of a good network
    Given alice talks to bob
    When 10 seconds pass
    And alice hangs up
    And 1 second passes
    Then of each leg the call record counts 0 to 0 % lost packets, and a quality from 4.3 to 4.5

  Scenario: What is written down of a bad network
    Given a network that loses 10 % of the packets
    And alice talks to bob
    When 30 seconds pass
    And alice hangs up
    And 20 seconds pass
    Then of each leg the call record counts 5 to 15 % lost packets, and a quality from 1.2 to 3.8
    And the call record tells how each quality came about
