// The tasks that tests/conformance drives a worker through.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"example.com/windlass"
	windlassv1 "example.com/windlass/gen/windlass/v1"
)

type duration struct{ Ms int64 }

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
	slots, err := strconv.Atoi(cmp.Or(os.Getenv("CONFORMANCE_SLOTS"), "4"))
	if err != nil {
		return fmt.Errorf("CONFORMANCE_SLOTS: %w", err)
	}
	worker := windlass.NewWorker(config, "conformance-go", slots)
	worker.Handle("conformance.echo", echo, nil)
	worker.Handle("conformance.fail", fail, nil)
	worker.Handle("conformance.hold", hold, nil)
	worker.Handle("conformance.stubborn", stubborn, nil)
	worker.Handle("conformance.big", big, nil)
	worker.Handle("conformance.log", logLines, nil)
	worker.Handle("conformance.progress", progress, nil)
	worker.Handle("conformance.limits", limits, nil)
	worker.Handle("conformance.stream", stream, nil)
	worker.Handle("conformance.release", release, nil)
	worker.Handle("conformance.label", label, nil)
	worker.HandleWorkflow(&windlassv1.WorkflowDefinition{
		Name:         "conformance.order",
		Tasks:        []*windlassv1.TaskDefinition{{Name: "work"}},
		OnFailure:    &windlassv1.TaskDefinition{Name: "failed"},
		OnSuccess:    &windlassv1.TaskDefinition{Name: "succeeded"},
		OutputByTask: true,
	}, map[string]windlass.Task{"work": workOf("conformance.order"), "failed": failed, "succeeded": succeeded})
	worker.HandleWorkflow(&windlassv1.WorkflowDefinition{
		Name: "conformance.refund", Tasks: []*windlassv1.TaskDefinition{{Name: "work"}},
	}, map[string]windlass.Task{"work": workOf("conformance.refund")})
	for name, value := range pairs("CONFORMANCE_LABELS") {
		worker.Label(name, value)
	}
	for name, value := range pairs("CONFORMANCE_POOLS") {
		slots, err := strconv.Atoi(value)
		if err != nil {
			return fmt.Errorf("CONFORMANCE_POOLS: %w", err)
		}
		worker.AddPool(name, slots)
	}

	return worker.Run(windlass.StopContext())
}

// pairs reads name=value,name=value.
func pairs(variable string) map[string]string {
	found := map[string]string{}
	for _, pair := range strings.Split(os.Getenv(variable), ",") {
		if name, value, isPair := strings.Cut(pair, "="); isPair {
			found[name] = value
		}
	}
	return found
}

func echo(_ context.Context, job *windlass.Job) (any, error) {
	var input json.RawMessage
	return input, job.Bind(&input)
}

func fail(_ context.Context, job *windlass.Job) (any, error) {
	var input struct {
		Message   string
		Retryable bool
	}
	if err := job.Bind(&input); err != nil {
		return nil, err
	}
	if err := errors.New(input.Message); input.Retryable {
		return nil, err
	} else {
		return nil, windlass.Final(err)
	}
}

func hold(ctx context.Context, job *windlass.Job) (any, error) {
	var input duration
	if err := job.Bind(&input); err != nil {
		return nil, err
	}
	select {
	case <-time.After(time.Duration(input.Ms) * time.Millisecond):
		return map[string]int64{"held": input.Ms}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func stream(ctx context.Context, job *windlass.Job) (any, error) {
	var input struct {
		Chunks  int
		EveryMs int64 `json:"every_ms"`
	}
	if err := job.Bind(&input); err != nil {
		return nil, err
	}
	for n := 1; n <= input.Chunks; n++ {
		if n > 1 && input.EveryMs > 0 {
			select {
			case <-time.After(time.Duration(input.EveryMs) * time.Millisecond):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		put := job.StreamText
		if n%2 == 0 {
			put = func(text string) error { return job.StreamBytes([]byte(text)) }
		}
		if err := put(fmt.Sprintf("chunk %d", n)); err != nil {
			return nil, err
		}
	}
	return struct{}{}, nil
}

func release(ctx context.Context, job *windlass.Job) (any, error) {
	job.ReleaseSlot()
	return hold(ctx, job)
}

func label(_ context.Context, job *windlass.Job) (any, error) {
	var input struct{ Name, Value string }
	if err := job.Bind(&input); err != nil {
		return nil, err
	}
	job.Label(input.Name, input.Value)
	return struct{}{}, nil
}

func stubborn(_ context.Context, job *windlass.Job) (any, error) {
	var input duration
	if err := job.Bind(&input); err != nil {
		return nil, err
	}
	time.Sleep(time.Duration(input.Ms) * time.Millisecond)
	return map[string]int64{"held": input.Ms}, nil
}

func big(_ context.Context, job *windlass.Job) (any, error) {
	var input struct{ Bytes int }
	if err := job.Bind(&input); err != nil {
		return nil, err
	}
	return map[string]string{"data": strings.Repeat("x", input.Bytes)}, nil
}

func logLines(_ context.Context, job *windlass.Job) (any, error) {
	var input struct{ Lines int }
	if err := job.Bind(&input); err != nil {
		return nil, err
	}
	for n := range input.Lines {
		job.Log("INFO", fmt.Sprintf("line %d", n+1))
	}
	return struct{}{}, nil
}

func progress(ctx context.Context, job *windlass.Job) (any, error) {
	var input struct {
		Steps   int
		EveryMs int64 `json:"every_ms"`
	}
	if err := job.Bind(&input); err != nil {
		return nil, err
	}
	for n := range input.Steps {
		if n > 0 {
			select {
			case <-time.After(time.Duration(input.EveryMs) * time.Millisecond):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		job.Progress(float64(n+1), float64(input.Steps), fmt.Sprintf("step %d", n+1))
	}
	return struct{}{}, nil
}

// limits asks for more time, waits, and says whether it was told that its time is short.
func limits(ctx context.Context, job *windlass.Job) (any, error) {
	var input struct {
		Ms        int64
		RefreshMs int64 `json:"refresh_ms"`
		ThenMs    int64 `json:"then_ms"`
	}
	if err := job.Bind(&input); err != nil {
		return nil, err
	}
	if input.RefreshMs > 0 {
		job.Refresh(time.Duration(input.RefreshMs) * time.Millisecond)
	}
	select {
	case <-time.After(time.Duration(input.Ms) * time.Millisecond):
		return map[string]bool{"told": false}, nil
	case <-job.Soft().Done():
	}
	select {
	case <-time.After(time.Duration(input.ThenMs) * time.Millisecond):
		return map[string]bool{"told": true}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// workOf makes a task that says whose it is: two workflows have one of this name.
func workOf(workflow string) windlass.Task {
	return func(context.Context, *windlass.Job) (any, error) {
		return map[string]string{"workflow": workflow, "task": "work"}, nil
	}
}

func succeeded(_ context.Context, job *windlass.Job) (any, error) {
	hook := job.GetSpec().GetHook()
	var outputs map[string]any
	if err := json.Unmarshal(hook.GetOutputJson(), &outputs); err != nil {
		return nil, err
	}
	return map[string]any{
		"workflow": "conformance.order", "task": "succeeded", "run": hook.GetRunId(), "output": outputs["work"],
	}, nil
}

func failed(_ context.Context, job *windlass.Job) (any, error) {
	hook := job.GetSpec().GetHook()
	messages := map[string]string{}
	for name, failure := range hook.GetFailures() {
		messages[name] = failure.GetMessage()
	}
	return map[string]any{
		"workflow": "conformance.order", "task": "failed", "run": hook.GetRunId(), "failures": messages,
	}, nil
}
