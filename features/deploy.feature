Feature: Deploy
  What is deployed is what runs, and can be changed and put back without surprises.

  @smoke
  Scenario: Both servers run the current release
    Then the tracker and mahavishnu run the release that "current" names

  Scenario: No secret lies where others can read it
    Then the key ring can be read by its owner only
    And no key of the ring is in any log, journal, database or configuration file of the deployment

  @temporary
  Scenario: Deploying again changes nothing
    Given I noted the processes of both servers
    When I run "invoke deploy"
    Then it succeeds
    And the output says that nothing changed
    And both servers are the same processes as before

  @temporary
  Scenario: A plan and a check change nothing
    Given I noted every file of the deployment
    When I run "invoke deploy --plan"
    Then it succeeds
    And the output shows "tracker"
    When I run "invoke deploy --check"
    Then it succeeds
    And every file of the deployment is as it was

  @temporary
  Scenario: The deploy itself is a session in the tracker
    When I run "session-buddy list-sessions --type runbook --format json"
    Then it succeeds
    And one of those sessions is a deploy that ended well
