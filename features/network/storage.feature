@SIM-15
Feature: Storage
  A bucket takes what is signed by who knows its secret; a STUN server says from where it is asked.

  Scenario: What was stored is there
    When the operator stores "hello" as "2026/greeting.txt"
    Then the operator is answered 200
    And the bucket holds 5 bytes as "2026/greeting.txt"
    When the operator reads "2026/greeting.txt"
    Then the answer says "hello"
    When the operator reads "2026/nothing.txt"
    Then the operator is answered 404

  Scenario: Something large is stored in parts
    Given a network that loses 2 % of the packets
    When the operator stores 3 MB in parts as "call.wav"
    Then the operator is answered 200
    And the bucket holds 3145728 bytes as "call.wav"

  Scenario: A list of what is stored
    When the operator stores "a" as "2026/a"
    And the operator stores "b" as "2027/b"
    And the operator lists "2026/"
    Then the answer says "<Key>2026/a</Key>"
    And the answer says "<IsTruncated>false</IsTruncated>"

  Scenario: Who does not know the secret stores nothing
    When the operator stores "hello" as "greeting" with a wrong secret
    Then the operator is answered 403
    And the answer says "SignatureDoesNotMatch"
    And the bucket is empty

  Scenario: A clock that is wrong
    When the operator, whose clock is 1 hour fast, stores "hello" as "greeting"
    Then the operator is answered 403
    And the answer says "RequestTimeTooSkewed"

  Scenario: A bucket that is out of order for a while
    Given the bucket answers 500 once
    When the operator stores "hello" as "greeting"
    Then the operator is answered 500
    When the operator stores "hello" as "greeting"
    Then the operator is answered 200

  Scenario: Where somebody is seen
    Given a network that loses 20 % of the packets
    Then the STUN server sees the operator where it is

  Scenario Outline: A STUN server that <manner>
    Given the STUN server <manner>
    Then the STUN server tells the operator nothing

    Examples:
      | manner                |
      | never answers         |
      | answers somebody else |
