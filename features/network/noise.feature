@CORE-02 @CORE-03
Feature: Noise from strangers
  What is no message, or no good one, is answered or dropped and harms nobody.

  Background:
    Given alice talks to bob
    And mallory has a telephone

  Scenario: Something that is no SIP at all
    When mallory sends
      """
      Hello, is anybody there?
      """
    And 1 second passes
    Then alice and bob hear each other

  Scenario: A call that goes round in circles
    When mallory sends
      """
      INVITE sip:bob@pbx.example SIP/2.0
      Via: SIP/2.0/UDP 10.0.0.4:5060;branch=z9hG4bKnoise1;rport
      Max-Forwards: 0
      From: <sip:mallory@pbx.example>;tag=1
      To: <sip:bob@pbx.example>
      Contact: <sip:mallory@10.0.0.4>
      Call-ID: noise1
      CSeq: 1 INVITE
      """
    And 1 second passes
    Then the answer was too many hops (483)

  @CORE-04
  Scenario: The end of a call that does not exist
    When mallory sends
      """
      BYE sip:bob@pbx.example SIP/2.0
      Via: SIP/2.0/UDP 10.0.0.4:5060;branch=z9hG4bKnoise2;rport
      Max-Forwards: 70
      From: <sip:mallory@pbx.example>;tag=1
      To: <sip:bob@pbx.example>;tag=2
      Call-ID: noise2
      CSeq: 1 BYE
      """
    And 1 second passes
    Then the answer was call does not exist (481)
    And alice and bob hear each other

  Scenario: A request without a Call-ID
    When mallory sends
      """
      OPTIONS sip:bob@pbx.example SIP/2.0
      Via: SIP/2.0/UDP 10.0.0.4:5060;branch=z9hG4bKnoise3;rport
      Max-Forwards: 70
      From: <sip:mallory@pbx.example>;tag=1
      To: <sip:bob@pbx.example>
      CSeq: 1 OPTIONS
      """
    And 1 second passes
    Then the answer was bad request (400)

  @CORE-07
  Scenario: Somebody guesses passwords
    When mallory registers with a wrong password
    And 1 second passes
    Then mallory is not registered
    And alice and bob hear each other
