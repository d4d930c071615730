// A worker with the Go side of the tasks that make polyglot calls across languages.
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

const slots = 10

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() error {
	config, err := windlass.ConfigFromEnv()
	if err != nil {
		return err
	}
	worker := windlass.NewWorker(config, "go-worker", slots)
	worker.Handle("go.greet", greet, nil)
	worker.Handle("go.hold", hold, nil)
	worker.Handle("go.fail", fail, &windlassv1.RetryPolicy{MaxAttempts: 2})
	worker.HandleWorkflow(&windlassv1.WorkflowDefinition{
		Name:  "go.tidy",
		Tasks: []*windlassv1.TaskDefinition{{Name: "go.tidy", SoftTimeoutMs: 500, ExecutionTimeoutMs: 1_000}},
	}, map[string]windlass.Task{"go.tidy": tidy})
	worker.HandleWorkflow(&windlassv1.WorkflowDefinition{
		Name:         "go.order",
		Tasks:        []*windlassv1.TaskDefinition{{Name: "work"}},
		OnFailure:    &windlassv1.TaskDefinition{Name: "mourn"},
		OnSuccess:    &windlassv1.TaskDefinition{Name: "cheer"},
		OutputByTask: true,
	}, map[string]windlass.Task{"work": work, "mourn": mourn, "cheer": cheer})
	// Served by the workers of all languages: whichever has a slot gets it.
	worker.Handle("any.hold", hold, nil)

	return worker.Run(windlass.StopContext())
}

func greet(_ context.Context, job *windlass.Job) (any, error) {
	var input struct{ Name string }
	if err := job.Bind(&input); err != nil {
		return nil, err
	}
	job.Log("INFO", "greeting "+input.Name)
	return map[string]any{"language": "go", "greeting": fmt.Sprintf("Hello, %s!", input.Name), "length": len([]rune(input.Name))}, nil
}

// hold says that it has begun, by making a file, and goes on until another one is there.
func hold(ctx context.Context, job *windlass.Job) (any, error) {
	var input struct{ Begun, Release string }
	if err := job.Bind(&input); err != nil {
		return nil, err
	}
	if err := os.WriteFile(input.Begun+".go", nil, 0o600); err != nil {
		return nil, err
	}
	for {
		if _, err := os.Stat(input.Release); err == nil {
			return map[string]any{"language": "go", "attempt": job.GetAttempt()}, nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// work is the task of a workflow, and the next two are its hooks: runs of their own that follow a run's end.
func work(ctx context.Context, job *windlass.Job) (any, error) {
	var input struct{ Item string }
	if err := job.Bind(&input); err != nil {
		return nil, err
	}
	if input.Item == "bread" {
		return fail(ctx, job)
	}
	return input.Item, nil
}

func mourn(_ context.Context, job *windlass.Job) (any, error) {
	hook := job.GetSpec().GetHook()
	return map[string]any{"language": "go", "follows": hook.GetRunId(), "error": hook.GetFailures()["work"].GetMessage()}, nil
}

func cheer(_ context.Context, job *windlass.Job) (any, error) {
	hook := job.GetSpec().GetHook()
	var outputs struct{ Work string }
	if err := json.Unmarshal(hook.GetOutputJson(), &outputs); err != nil {
		return nil, err
	}
	return map[string]any{"language": "go", "follows": hook.GetRunId(), "output": outputs.Work}, nil
}

// tidy asks for more time, says how far it is, and tidies up once told that time is short.
func tidy(_ context.Context, job *windlass.Job) (any, error) {
	job.Refresh(1_200 * time.Millisecond)
	job.Progress(1, 2, "waiting")
	select {
	case <-job.Soft().Done():
		job.Progress(2, 2, "tidied up")
		return map[string]string{"language": "go"}, job.StreamText("tidied up")
	case <-time.After(time.Minute):
		return nil, errors.New("nobody has told it")
	}
}

// fail returns an error with a type that callers in other languages see.
func fail(_ context.Context, job *windlass.Job) (any, error) {
	var input struct{ Item string }
	if err := job.Bind(&input); err != nil {
		return nil, err
	}
	return nil, &windlass.TaskError{Type: "OutOfStock", Message: fmt.Sprintf("no %s left", input.Item)}
}
