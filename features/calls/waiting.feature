@CORE-05 @SIM-15
Feature: Two calls at one telephone

  Background:
    Given alice talks to bob
    And carol has registered

  Scenario: A second call rings
    When carol calls bob
    And 1 second passes
    Then bob's telephone rings
    And alice and bob hear each other

  Scenario: The first caller waits while the second is answered
    When carol calls bob
    And 1 second passes
    And bob answers
    And 1 second passes
    Then alice is on hold
    And carol and bob hear each other
    And alice's telephone is silent

  Scenario: Back to the first caller
    When carol calls bob
    And 1 second passes
    And bob answers
    And 1 second passes
    And bob goes back to alice
    And 1 second passes
    Then alice and bob hear each other
    And carol is on hold

  Scenario: A telephone with one line is busy
    Given bob's telephone has one line
    When carol calls bob
    And 1 second passes
    Then carol is told busy (486)
    And alice and bob hear each other

  Scenario: Somebody asks a third while the second waits
    When alice puts bob on hold
    And 1 second passes
    And alice calls carol
    And 1 second passes
    And carol answers
    And 1 second passes
    Then alice and carol hear each other
    And bob is on hold
    When alice goes back to bob
    And 1 second passes
    Then alice and bob hear each other
    And carol is on hold
