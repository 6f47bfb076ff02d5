Feature: Sessions
  A shell that an operator opens is in the tracker when it closes, with what was done in it.

  @smoke
  Scenario: An admin shell is captured (guide 3 step 4, 4.4)
    When I run an admin shell with "ps(); top(); sync()"
    Then it succeeds
    And the tracker has that session with type "admin_shell" and status "ended"
    And its events are, in order
      | type          | text   |
      | session_start |        |
      | command       | ps()   |
      | command       | top()  |
      | command       | sync() |
      | session_end   |        |

  Scenario: The session is listed (guide 3 step 4.2)
    Given I ran an admin shell with "ps()"
    When I run "session-buddy list-sessions --type admin_shell --limit 100"
    Then it succeeds
    And the output shows that session's id
    And the output shows the columns "Session ID", "Component", "Duration" and "Events"

  Scenario: Its events can be read (guide 4.2)
    Given I ran an admin shell with "ps(); top(); errors(5)"
    When I list the events of that session
    Then it succeeds
    And the output shows "ps()", "top()" and "errors(5)"

  Scenario: Its metadata is there (guide 4.2)
    Given I ran an admin shell with "ps()"
    When I get that session as JSON
    Then it has these fields
      | field         | value       |
      | component     | mahavishnu  |
      | session_type  | admin_shell |
      | command_count | 1           |
      | exit_code     | 0           |
    And it has a start, an end and a duration that fit together
    And it names the user and the host

  @temporary
  Scenario: A command that fails makes the exit code and the session say so
    When I run an admin shell with "1/0"
    Then it fails with exit code 1
    And the tracker has that session with type "admin_shell" and status "failed"
