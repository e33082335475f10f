@SIM-04 @CORE-08
Feature: Trunks by name
  A trunk may have a name that leads to several systems; when one does not answer, the next is tried.

  Background:
    Given the name "city.example" leads to north, then to south
    And a trunk for numbers that begin with 0, to "city.example"
    And north's telephone answers at once
    And south's telephone answers at once
    And alice has registered

  Scenario: The first address takes the call
    When alice calls "0123"
    And 2 seconds pass
    Then alice and north hear each other
    And south has had 0 calls

  Scenario: The first address cannot be reached
    Given north is cut off from the PBX
    When alice calls "0123"
    And 3 seconds pass
    Then alice and south hear each other

  Scenario: Neither address can be reached
    Given north is cut off from the PBX
    And south is cut off from the PBX
    When alice calls "0123"
    And 5 seconds pass
    Then alice's call is over
