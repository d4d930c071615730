// A client on the command line: client run|submit WORKFLOW INPUT, wait|cancel RUN, list WORKFLOW. It prints JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"example.com/windlass"
	windlassv1 "example.com/windlass/gen/windlass/v1"
)

const deadline = time.Minute

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: client run|submit WORKFLOW INPUT | wait|cancel RUN | list WORKFLOW")
		os.Exit(2)
	}
	answer, err := do(os.Args[1], os.Args[2], append(os.Args[3:], "{}")[0])
	if err != nil {
		answer = described(err)
	}
	encoded, _ := json.Marshal(answer)
	fmt.Println(string(encoded))
}

func do(what, subject, input string) (any, error) {
	config, err := windlass.ConfigFromEnv()
	if err != nil {
		return nil, err
	}
	client, err := windlass.NewClient(config)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	var output json.RawMessage
	switch what {
	case "run":
		err = client.Run(ctx, subject, json.RawMessage(input), &output)
		return output, err
	case "submit":
		return client.Submit(ctx, subject, json.RawMessage(input))
	case "wait":
		err = client.Wait(ctx, subject, &output)
		return output, err
	case "cancel":
		outcome, err := client.Cancel(ctx, subject, "cancelled from Go")
		return outcome.String(), err
	case "list":
		runs := []map[string]string{}
		for run, err := range client.List(ctx, &windlassv1.ListRunsRequest{
			Filter:   &windlassv1.RunFilter{WorkflowNames: []string{subject}},
			PageSize: 2,
		}) {
			if err != nil {
				return nil, err
			}
			runs = append(runs, map[string]string{"run_id": run.GetRunId(), "status": run.GetStatus().String()})
		}
		return runs, nil
	default:
		return nil, fmt.Errorf("no such command: %s", what)
	}
}

// described shows how each kind of error is told apart.
func described(err error) map[string]any {
	var failed *windlass.RunFailed
	var cancelled *windlass.RunCancelled
	var refused *windlass.Error
	switch {
	case errors.As(err, &failed):
		failure := failed.Failure
		return map[string]any{"error": "RunFailed", "type": failure.GetType(), "message": failure.GetMessage(), "attempt": failure.GetAttempt()}
	case errors.As(err, &cancelled):
		return map[string]any{"error": "RunCancelled", "message": cancelled.Reason}
	case errors.As(err, &refused):
		return map[string]any{"error": "Error", "type": refused.Detail.GetReason().String(), "field": refused.Detail.GetField(), "message": err.Error()}
	default:
		return map[string]any{"error": "Other", "message": err.Error()}
	}
}
