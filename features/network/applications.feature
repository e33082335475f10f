@SIM-15
Feature: Applications that control calls
  They hold a WebSocket open, send commands and are told events; here an exchange with a script answers them.

  Scenario: Who shows the token is let in
    Given an exchange that lets in the token "secret"
    When the application connects with the token "secret"
    Then the application is connected

  Scenario: Who shows another is not
    Given an exchange that lets in the token "secret"
    When the application connects with the token "guess"
    Then the application is refused as 401

  Scenario: Events come in order
    Given the exchange says:
      | after     | event               |
      | 1 second  | call.incoming leg_a |
      | 2 seconds | call.answered leg_a |
      | 0 ms      | call.hangup leg_a   |
    And a network that loses 10 % of the packets
    When the application connects without a token
    And 10 seconds pass
    Then the application has been told, in order:
      | event               |
      | call.incoming leg_a |
      | call.answered leg_a |
      | call.hangup leg_a   |

  Scenario: A command has a reply and makes events
    Given the exchange answers commands:
      | action         | events                                       |
      | call.originate | call.ringing leg_b, then call.answered leg_b |
    And an application that is connected
    When the application commands "call.originate call_id=leg_b destination=sip:bob@pbx.example"
    Then the command has succeeded
    And the application has been told of 2 events
    When the application commands "call.juggle call_id=leg_b"
    Then the command has failed as unknown_action

  Scenario: Nonsense has an answer too
    Given an application that is connected
    When the application says "good morning"
    And 1 second passes
    Then the command has failed as invalid_json

  Scenario: An application that does not read is told later
    Given the exchange says:
      | after    | event              |
      | 1 second | call.ringing leg_a |
    And an application that is connected
    When the application stops reading
    And 5 seconds pass
    Then the application has been told of 0 events
    When the application reads on
    And 1 second passes
    Then the application has been told of 1 event

  Scenario: An application says goodbye
    Given an application that is connected
    When the application disconnects
    And 1 second passes
    Then the application's connection has ended well

  Scenario: A message in pieces, with pings between them
    Given the exchange speaks in pieces
    And the exchange says:
      | after    | event              |
      | 1 second | call.ringing leg_a |
    And an application that is connected
    When 3 seconds pass
    Then the application has been told of 1 event

  Scenario Outline: An exchange that <manner>
    Given the exchange <manner>
    And the exchange says:
      | after    | event              |
      | 1 second | call.ringing leg_a |
    And an application that is connected
    When 3 seconds pass
    Then the application's connection is lost because "<why>"

    Examples:
      | manner          | why                                          |
      | masks its words | clients mask what they send, servers do not  |
      | mumbles         | a text is not UTF-8                          |
      | breaks off      | the connection ended without a goodbye       |
